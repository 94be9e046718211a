import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.credentials import Credentials
from metahub_addon.token_exchange import TokenRequest, basic, read_token, token_requests
from metahub_addon.token_protocol import Wanted
from metahub_addon.upstream import FetchError

WANTED = Wanted("bearer", "https://a.test/t", "reg.test", "repository:a/b:pull,push")
ASKED = "https://a.test/t?service=reg.test&scope=repository%3Aa%2Fb%3Apull%2Cpush"
ANN = Credentials(username="ann", password="pw")
DATE = "Tue, 05 May 2026 10:00:00 GMT"


@pytest.mark.parametrize(
    ("credentials", "expected"),
    [
        (None, ""),
        (Credentials(), ""),
        (Credentials(username="ann"), ""),
        (Credentials(password="pw"), ""),
        (Credentials(identity_token="id"), ""),
        (ANN, "Basic YW5uOnB3"),
        (Credentials(username="änn", password="p:w"), "Basic w6RubjpwOnc="),
    ],
)
def test_basic(credentials: Credentials | None, expected: str) -> None:
    assert basic(credentials) == expected


@pytest.mark.parametrize(
    ("wanted", "url"),
    [
        (WANTED, ASKED),
        (Wanted("bearer", "https://a.test/t"), "https://a.test/t"),
        (Wanted("bearer", "https://a.test/t?x=1&y=#z", "s"), "https://a.test/t?x=1&y=&service=s"),
        (Wanted("bearer", "https://a.test", "", "a b"), "https://a.test?scope=a&scope=b"),
    ],
)
def test_a_token_is_asked_for_by_get(wanted: Wanted, url: str) -> None:
    assert token_requests(wanted, None) == (TokenRequest(url),)
    assert token_requests(wanted, ANN) == (TokenRequest(url, "Basic YW5uOnB3"),)


def test_an_identity_token_is_posted_first() -> None:
    post, get = token_requests(WANTED, Credentials(identity_token="id"))
    form = {
        "grant_type": "refresh_token",
        "service": "reg.test",
        "client_id": "metahub",
        "scope": "repository:a/b:pull,push",
        "refresh_token": "id",
    }
    assert post == TokenRequest("https://a.test/t", "", form)
    assert get == TokenRequest(ASKED, "Basic PHRva2VuPjppZA==")


def test_an_identity_token_with_little_else() -> None:
    wanted = Wanted("bearer", "https://a.test/t")
    post, get = token_requests(wanted, Credentials(username="ann", identity_token="id"))
    assert post.form is not None
    assert sorted(post.form) == ["client_id", "grant_type", "refresh_token"]
    assert get.authorization == basic(Credentials(username="ann", password="id"))
    assert "id'" not in repr(post)
    assert get.authorization not in repr(get)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        ({"token": "t"}, 60),
        ({"access_token": "t"}, 60),
        ({"token": "", "access_token": "t"}, 60),
        ({"token": "t", "access_token": "other"}, 60),
        ({"token": "t", "expires_in": 300}, 300),
        ({"token": "t", "expires_in": 1.5}, 1.5),
        ({"token": "t", "expires_in": 10**30}, 86400),
        ({"token": "t", "expires_in": 0}, 60),
        ({"token": "t", "expires_in": -1}, 60),
        ({"token": "t", "expires_in": True}, 60),
        ({"token": "t", "expires_in": "300"}, 60),
        ({"token": "t", "expires_in": float("inf")}, 60),
        ({"token": "t", "expires_in": float("nan")}, 60),
        ({"token": "t", "expires_in": 300, "issued_at": "2026-05-05T10:00:00Z"}, 300),
        ({"token": "t", "expires_in": 300, "issued_at": "2026-05-05T09:59:00Z"}, 240),
        ({"token": "t", "expires_in": 300, "issued_at": "2026-05-05T11:59:00+02:00"}, 240),
        ({"token": "t", "expires_in": 300, "issued_at": "2026-05-05T09:59:00"}, 240),
        ({"token": "t", "expires_in": 300, "issued_at": "2026-05-05T09:59:00.123456789Z"}, 240),
        ({"token": "t", "expires_in": 300, "issued_at": "2026-05-05T10:30:00Z"}, 300),
        ({"token": "t", "expires_in": 300, "issued_at": "2025-05-05T10:00:00Z"}, 0),
        ({"token": "t", "issued_at": "yesterday"}, 60),
        ({"token": "t", "issued_at": 5}, 60),
    ],
)
def test_tokens_and_how_long_they_hold(answer: dict[str, Any], seconds: float) -> None:
    token = read_token(json.dumps(answer).encode(), DATE)
    assert token.value == "t"
    assert token.seconds == pytest.approx(seconds, abs=0.2)


@pytest.mark.parametrize("date", ["", "x", "Tue, 99 May 2026 10:00:00 GMT"])
def test_without_the_servers_clock_nothing_is_said_of_age(date: str) -> None:
    """Ours may differ."""
    body = b'{"token": "t", "issued_at": "2026-05-05T10:00:00Z"}'
    assert read_token(body, date).seconds == 60


def test_a_date_without_a_zone_is_utc() -> None:
    body = b'{"token": "t", "issued_at": "2026-05-05T09:59:50Z"}'
    assert read_token(body, "Tue, 05 May 2026 10:00:00").seconds == 50


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"secret",
        b"\xff",
        b"[" * 60_000,
        b'"secret"',
        b"[]",
        b"null",
        b"{}",
        b'{"token": 5}',
        b'{"token": null}',
        b'{"token": ["secret"]}',
        b'{"token": "secret\\r\\nX: y"}',
        b'{"token": "secret secret"}',
        '{"token": "secr\u00e9t"}'.encode(),
        b'{"token": "=secret"}',
        b'{"token": "secret", "expires_in": ' + b"9" * 5000 + b"}",
    ],
)
def test_answers_without_a_token(body: bytes) -> None:
    with pytest.raises(FetchError, match="the token server's answer") as caught:
        read_token(body, DATE)
    assert "secr" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.binary(max_size=200) | st.builds(lambda s: json.dumps(s).encode(), st.text()))
def test_any_answer_is_a_token_or_a_fetch_error(body: bytes) -> None:
    with pytest.raises(FetchError):
        read_token(body, DATE)


LIFE = st.none() | st.booleans() | st.text() | st.floats() | st.integers()


@given(LIFE, st.datetimes().map(str) | LIFE)
def test_a_token_holds_for_a_sane_time(expires_in: Any, issued_at: Any) -> None:
    answer = {"token": "t", "expires_in": expires_in, "issued_at": issued_at}
    assert 0 <= read_token(json.dumps(answer).encode(), DATE).seconds <= 86400
