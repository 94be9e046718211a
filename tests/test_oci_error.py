import json

from metahub_addon.oci_error import JSON_TYPE, oci_error


def test_an_error() -> None:
    answer = oci_error(403, "DENIED", 'says "why"')
    assert (answer.status, json.loads(answer.body)) == (
        403,
        {"errors": [{"code": "DENIED", "message": 'says "why"', "detail": None}]},
    )
    assert answer.headers == {"Content-Type": JSON_TYPE, "Content-Length": str(len(answer.body))}


def test_the_answer_to_a_head_has_the_length_and_no_body() -> None:
    answer = oci_error(404, "NAME_UNKNOWN", "no", head=True)
    assert answer.body == b""
    assert answer.headers == oci_error(404, "NAME_UNKNOWN", "no").headers


def test_more_headers() -> None:
    answer = oci_error(429, "TOOMANYREQUESTS", "later", headers={"Retry-After": "3"})
    assert answer.headers["Retry-After"] == "3"
    assert answer.headers["Content-Type"] == JSON_TYPE
