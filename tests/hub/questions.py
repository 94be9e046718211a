"""Requests that a guarded hub must refuse, and how."""

from collections.abc import Mapping
from dataclasses import dataclass

from hub.hubs import ANY_PASSWORD, LIMITED_PASSWORD, PUSHER_PASSWORD
from hub.upstreams import HIDDEN

ANY = ("qnib-type1", ANY_PASSWORD)
LIMITED = ("limited", LIMITED_PASSWORD)
PUSHER = ("pusher", PUSHER_PASSWORD)
NOBODY = ("", "")
ZEROS = f"sha256:{'0' * 64}"
_MOUNT = "/v2/qnib/pushed/blobs/uploads/"


@dataclass(frozen=True)
class Question:
    """A request, and the status and OCI codes that may answer it.

    In a path, `{child}`, `{index}` and `{layer}` are digests of the hidden image.
    """

    login: tuple[str, str]
    path: str
    status: int
    codes: tuple[str, ...]
    method: str = "GET"
    headers: Mapping[str, str] | None = None


def _denied(login: tuple[str, str], path: str, method: str = "GET", status: int = 403) -> Question:
    return Question(login, path, status, ("DENIED",), method)


def _unauthorized(
    login: tuple[str, str], path: str = "/v2/", headers: Mapping[str, str] | None = None
) -> Question:
    return Question(login, path, 401, ("UNAUTHORIZED",), headers=headers)


QUESTIONS: Mapping[str, Question] = {
    "no login": _unauthorized(NOBODY),
    "no login, a tag": _unauthorized(NOBODY, "/v2/qnib/bench/manifests/latest"),
    "no login, a cached digest": _unauthorized(NOBODY, f"/v2/{HIDDEN}/manifests/{{child}}"),
    "no login, a blob": _unauthorized(NOBODY, f"/v2/{HIDDEN}/blobs/{{layer}}"),
    "no login, machine types": _unauthorized(NOBODY, "/v2/_metahub/machine-types"),
    "wrong password": _unauthorized(("qnib-type1", "wrong")),
    "no password": _unauthorized(("qnib-type1", "")),
    "another's password": _unauthorized(("limited", ANY_PASSWORD)),
    "unknown account": _unauthorized(("nobody", "nothing")),
    "a bearer": _unauthorized(NOBODY, headers={"Authorization": "Bearer aaaa.bbbb.cccc"}),
    "no base64": _unauthorized(NOBODY, headers={"Authorization": "Basic %%%"}),
    "unknown type": _denied(("qnib-type9", ANY_PASSWORD), "/v2/qnib/bench/manifests/latest"),
    "another account's type": _denied(
        ("limited-type2", LIMITED_PASSWORD), "/v2/qnib/bench/manifests/latest"
    ),
    "outside the list": _denied(LIMITED, f"/v2/{HIDDEN}/manifests/latest"),
    "outside the list, cached index": _denied(LIMITED, f"/v2/{HIDDEN}/manifests/{{index}}"),
    "outside the list, cached child": _denied(LIMITED, f"/v2/{HIDDEN}/manifests/{{child}}"),
    "outside the list, blob": _denied(LIMITED, f"/v2/{HIDDEN}/blobs/{{layer}}"),
    "outside the list, tags": _denied(LIMITED, f"/v2/{HIDDEN}/tags/list"),
    "outside the list, referrers": _denied(LIMITED, f"/v2/{HIDDEN}/referrers/{{child}}"),
    "outside the list, other registry": _denied(LIMITED, "/v2/other/qnib/bench/manifests/latest"),
    "cached child by an allowed name": Question(
        LIMITED, "/v2/qnib/bench/manifests/{child}", 404, ("MANIFEST_UNKNOWN",)
    ),
    "cached index by an allowed name": Question(
        LIMITED, "/v2/qnib/bench/manifests/{index}", 404, ("MANIFEST_UNKNOWN",)
    ),
    "hidden blob by an allowed name": Question(
        LIMITED, "/v2/qnib/bench/blobs/{layer}", 404, ("BLOB_UNKNOWN",)
    ),
    "not there": Question(LIMITED, "/v2/qnib/bench/manifests/none", 404, ("MANIFEST_UNKNOWN",)),
    # What the hub itself may not read at the registry behind it.
    "not the hub's": _denied(ANY, "/v2/another/image/manifests/latest"),
    "not the hub's, blob": _denied(ANY, f"/v2/another/image/blobs/{ZEROS}"),
    "upload": _denied(ANY, "/v2/qnib/bench/blobs/uploads/", "POST"),
    "tag moved": _denied(ANY, "/v2/qnib/bench/manifests/latest", "PUT"),
    "deleted": Question(ANY, f"/v2/{HIDDEN}/manifests/{{index}}", 405, ("UNSUPPORTED",), "DELETE"),
    "upload elsewhere": _denied(PUSHER, "/v2/qnib/bench/blobs/uploads/", "POST"),
    "pusher reads elsewhere": _denied(PUSHER, f"/v2/{HIDDEN}/manifests/{{child}}"),
}
# However a name is spelt, none of these may show the hidden image or reach a registry.
_H = HIDDEN
CRAFTED = (
    f"/v2/{_H.replace('/', '%2F')}/manifests/latest",
    f"/v2/{_H.replace('h', '%68')}/manifests/latest",
    f"/v2//{_H}/manifests/latest",
    f"//v2/{_H}/manifests/latest",
    f"/V2/{_H}/manifests/latest",
    "/v2/qnib/bench/../hidden/manifests/latest",
    "/v2/qnib/bench/%2e%2e/hidden/manifests/latest",
    "/v2/qnib/bench/manifests/../../hidden/manifests/latest",
    "/v2/qnib/bench/manifests/..%2F..%2Fhidden%2Fmanifests%2Flatest",
    "/v2/qnib/bench/blobs/../../hidden/manifests/latest",
    "/v2/qnib/bench/blobs/%2e%2e/%2e%2e/hidden/manifests/latest",
    "/v2/qnib/bench/tags/list/../../../hidden/manifests/latest",
    "/v2/qnib/bench/referrers/../../hidden/manifests/latest",
    "/v2/qnib/bench/manifests/latest/../../../hidden/manifests/latest",
    f"/v2/qnib/bench;/../../{_H}/manifests/latest",
    f"/v2/other/../{_H}/manifests/latest",
    f"/v2/locked/{_H}/manifests/latest",
    f"/v2/{_H}/manifests/latest?ns=reg.test",
    f"/v2/{_H}/manifests/{{child}}?ns=locked.test",
    f"/v2/{_H}/manifests/latest?metahub-again=1",
    f"/v2/{_H}/blobs/{{layer}}?metahub-again=1",
    "/v2/qnib/bench/blobs/uploads/..%2f..%2f..%2fhidden%2fmanifests%2flatest",
    f"https://locked.test/v2/{_H}/manifests/latest",
    f"https://guarded.test/v2/{_H}/manifests/{{child}}",
    "/v2/_catalog",
    "/v2/qnib/bench/_catalog",
    "/",
    "/v1/search?q=hidden",
    "/token?service=locked&scope=repository:qnib/hidden:pull",
    "/debug/vars",
)
# A mount would read a repository that the pusher may not.
MOUNT = f"{_MOUNT}?mount={{layer}}&from={HIDDEN}"
