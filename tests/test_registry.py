import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.registry import ManifestRequest, recognise

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("method", "target", "found"),
    [
        ("GET", "/v2/nginx/manifests/latest", ("nginx", "latest", "")),
        ("HEAD", "/v2/library/nginx/manifests/1.27", ("library/nginx", "1.27", "")),
        ("GET", f"/v2/a/b/c/manifests/{DIGEST}", ("a/b/c", DIGEST, "")),
        ("GET", "/v2/a/manifests/t?ns=docker.io", ("a", "t", "docker.io")),
        ("GET", f"/v2/a/manifests/t?{'x' * 2000}", ("a", "t", "")),
        ("GET", "/v2/a/manifests/b/manifests/c", ("a/manifests/b", "c", "")),
        ("PUT", "/v2/nginx/manifests/latest", None),
        ("GET", "/v2/", None),
        ("GET", "/v2/nginx/tags/list", None),
        ("GET", f"/v2/nginx/blobs/{DIGEST}", None),
        ("GET", f"/v2/nginx/referrers/{DIGEST}", None),
        ("GET", "/v2/Nginx/manifests/latest", None),
        ("GET", "/v2/../manifests/latest", None),
        ("GET", "/v2/nginx/manifests/.latest", None),
        ("GET", "/v2/nginx/manifests/sha256:abc", None),
        ("GET", f"/v2/nginx/manifests/{'x' * 129}", None),
        ("GET", f"/v2/{'x/' * 600}x/manifests/t", None),
        ("GET", "/other/nginx/manifests/latest", None),
    ],
)
def test_recognise(method: str, target: str, found: tuple[str, str, str] | None) -> None:
    request = recognise(method, target)
    expected = ManifestRequest(method, *found) if found else None
    assert request == expected


@pytest.mark.parametrize(
    ("reference", "by_digest", "attached", "shown"),
    [
        ("latest", False, False, "a:latest"),
        (DIGEST, True, False, f"a@{DIGEST}"),
        ("sha256-" + "a" * 64, False, True, "a:sha256-" + "a" * 64),
        ("sha256-" + "a" * 64 + ".sig", False, True, "a:sha256-" + "a" * 64 + ".sig"),
        ("sha256-abc", False, False, "a:sha256-abc"),
    ],
)
def test_references(reference: str, by_digest: bool, attached: bool, shown: str) -> None:
    request = ManifestRequest("GET", "a", reference)
    assert request.by_digest is by_digest
    assert request.attached is attached
    assert str(request) == shown


@given(st.text(max_size=200))
def test_no_target_is_too_odd(target: str) -> None:
    found = recognise("GET", f"/v2/{target}")
    assert found is None or found.name in target
