import re
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.registry import (
    BlobRequest,
    ManifestRequest,
    namespace_of,
    recognise,
    recognise_blob,
    registry_of,
)

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


@pytest.mark.parametrize(
    ("method", "target", "found"),
    [
        ("GET", f"/v2/nginx/blobs/{DIGEST}", ("nginx", DIGEST, "")),
        ("GET", f"/v2/a/b/c/blobs/{DIGEST}?ns=docker.io", ("a/b/c", DIGEST, "docker.io")),
        ("GET", f"/v2/blobs/blobs/blobs/{DIGEST}", ("blobs/blobs", DIGEST, "")),
        ("HEAD", f"/v2/nginx/blobs/{DIGEST}", None),
        ("PUT", f"/v2/nginx/blobs/{DIGEST}", None),
        ("GET", "/v2/nginx/blobs/sha256:abc", None),
        ("GET", "/v2/nginx/blobs/latest", None),
        ("GET", "/v2/nginx/blobs/uploads/", None),
        ("GET", f"/v2/nginx/manifests/{DIGEST}", None),
        ("GET", f"/v2/../blobs/{DIGEST}", None),
        ("GET", f"/v2/{'x/' * 600}x/blobs/{DIGEST}", None),
        ("GET", f"/x/v2/nginx/blobs/{DIGEST}", None),
    ],
)
def test_recognise_blob(method: str, target: str, found: tuple[str, str, str] | None) -> None:
    assert recognise_blob(method, target) == (BlobRequest(*found) if found else None)


def test_a_blob_is_shown_by_its_digest() -> None:
    assert str(BlobRequest("a/b", DIGEST)) == f"a/b@{DIGEST}"


@given(st.text(max_size=200), st.text(max_size=99))
def test_no_target_is_too_odd_for_a_blob(name: str, query: str) -> None:
    found = recognise_blob("GET", f"/v2/{name}/blobs/{DIGEST}?{query}")
    assert found is None or found.name == name
    assert recognise_blob("GET", name) is None


@pytest.mark.parametrize(
    ("query", "namespace"),
    [
        ("", ""),
        ("ns=reg.test:5000", "reg.test:5000"),
        ("ns=reg.test%3A5000", "reg.test:5000"),
        ("a=b&ns=one&ns=two", "one"),
        ("ns=", ""),
        ("NS=reg.test", ""),
        ("a=b&" * 15 + "ns=x", "x"),
        ("a=b&" * 16 + "ns=x", ""),
        ("ns=x&" + "a" * 1018, "x"),
        ("ns=x&" + "a" * 1019, ""),
    ],
)
def test_namespace_of(query: str, namespace: str) -> None:
    assert namespace_of(query) == namespace


@pytest.mark.parametrize(
    ("namespace", "place"),
    [
        ("docker.io", ("registry-1.docker.io", 443)),
        ("index.docker.io", ("registry-1.docker.io", 443)),
        ("reg.test", ("reg.test", 443)),
        ("reg.test:5000", ("reg.test", 5000)),
        ("localhost:65535", ("localhost", 65535)),
        ("192.0.2.1", ("192.0.2.1", 443)),
        ("[2001:db8::1]", ("2001:db8::1", 443)),
        ("[2001:db8::1]:5000", ("2001:db8::1", 5000)),
        ("", None),
        ("_default", None),
        ("reg.test:", None),
        ("reg.test:0", None),
        ("reg.test:65536", None),
        ("reg.test:100000", None),
        ("reg.test:\uff14\uff14\uff13", None),
        ("reg.test/name", None),
        ("user@reg.test", None),
        ("https://reg.test", None),
        ("reg.test\r\nX: y", None),
        ("2001:db8::1", None),
        ("-reg.test", None),
    ],
)
def test_registry_of(namespace: str, place: tuple[str, int] | None) -> None:
    assert registry_of(namespace) == place


@given(
    st.from_regex(re.compile(r"[a-z0-9][a-z0-9.-]{0,30}", re.ASCII), fullmatch=True)
    | st.ip_addresses(v=6).map(lambda address: f"[{address}]"),
    st.none() | st.integers(1, 65535),
)
def test_a_namespace_is_read_as_it_was_written(host: str, port: int | None) -> None:
    text = host if port is None else f"{host}:{port}"
    target = f"/v2/a/blobs/{DIGEST}?{urlencode({'ns': text})}"
    found = recognise_blob("GET", target)
    assert found
    assert registry_of(found.namespace) == (host.strip("[]"), port or 443)


@given(st.text(max_size=99))
def test_no_namespace_is_too_odd(namespace: str) -> None:
    place = registry_of(namespace)
    assert place is None or (place[0] in namespace and 0 < place[1] < 65536)
