from dataclasses import replace
from urllib.parse import parse_qsl, quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.hub_config import UpstreamRule
from metahub_addon.hub_routes import Action, NoRoute, Route, find_route, led_back
from metahub_addon.registry import ManifestRequest
from metahub_addon.upstream import Registry
from support.descriptors import digest


def registry(host: str, port: int = 443, scheme: str = "https") -> Registry:
    default = port == {"https": 443, "http": 80}[scheme]
    return Registry(
        scheme=scheme, host=host, port=port, authority=host if default else f"{host}:{port}"
    )


HUB = UpstreamRule(name="r.test", registry=registry("r.test"))
DOCKER = UpstreamRule(
    name="docker.io",
    registry=registry("registry-1.docker.io"),
    prefix="docker.io",
    hosts=("docker.hub.test",),
)
QUAY = UpstreamRule(
    name="quay.io", registry=registry("quay.test", 5000, "http"), hosts=("quay.hub.test",)
)
DEEP = UpstreamRule(name="deep", registry=registry("deep.test"), prefix="docker.io/deep")
ALL = (HUB, DOCKER, QUAY, DEEP)
MANIFEST = f"manifests/{digest(1)}"


def routed(
    target: str, method: str = "GET", host: str = "hub.test", rules: tuple[UpstreamRule, ...] = ALL
) -> Route:
    route = find_route(method, target, host, rules)
    assert isinstance(route, Route), route
    return route


@pytest.mark.parametrize(
    ("target", "host", "rule", "name", "path"),
    [
        ("/v2/a/b/tags/list", "hub.test", HUB, "a/b", "/v2/a/b/tags/list"),
        ("/v2/nginx/tags/list", "hub.test", HUB, "nginx", "/v2/nginx/tags/list"),
        (
            "/v2/docker.io/nginx/tags/list",
            "hub.test",
            DOCKER,
            "docker.io/library/nginx",
            "/v2/library/nginx/tags/list",
        ),
        (
            "/v2/docker.io/qnib/a/tags/list",
            "quay.hub.test",  # a prefix says more than a host
            DOCKER,
            "docker.io/qnib/a",
            "/v2/qnib/a/tags/list",
        ),
        (
            "/v2/docker.io/a/tags/list?ns=quay.io",  # and what containerd names more than both
            "docker.hub.test",
            QUAY,
            "quay.io/docker.io/a",
            "/v2/docker.io/a/tags/list",
        ),
        ("/v2/docker.io/tags/list", "hub.test", HUB, "docker.io", "/v2/docker.io/tags/list"),
        ("/v2/docker.io/deep/a/tags/list", "hub.test", DEEP, "docker.io/deep/a", "/v2/a/tags/list"),
        (
            "/v2/nginx/tags/list",
            "docker.hub.test",
            DOCKER,
            "docker.io/library/nginx",
            "/v2/library/nginx/tags/list",
        ),
        ("/v2/a/b/tags/list", "QUAY.hub.test", QUAY, "quay.io/a/b", "/v2/a/b/tags/list"),
        ("/v2/quay.io/a/b/tags/list", "hub.test", QUAY, "quay.io/a/b", "/v2/a/b/tags/list"),
        ("/v2/a/b/tags/list?ns=quay.io", "hub.test", QUAY, "quay.io/a/b", "/v2/a/b/tags/list"),
        (
            "/v2/a/b/tags/list?ns=quay.test:5000",
            "docker.hub.test",
            QUAY,
            "quay.io/a/b",
            "/v2/a/b/tags/list",
        ),
        (
            "/v2/docker.io/nginx/tags/list?ns=docker.io",  # a mirror whose URL has the prefix
            "hub.test",
            DOCKER,
            "docker.io/library/nginx",
            "/v2/library/nginx/tags/list",
        ),
        ("/v2/a/b/tags/list?ns=r.test", "quay.hub.test", HUB, "a/b", "/v2/a/b/tags/list"),
        ("/v2/a/b/tags/list?ns=hub.test", "hub.test", HUB, "a/b", "/v2/a/b/tags/list"),
        ("/v2/a/b/tags/list?ns=hub.test:5000", "hub.test", HUB, "a/b", "/v2/a/b/tags/list"),
        ("/v2/a/b/tags/list?ns=", "hub.test", HUB, "a/b", "/v2/a/b/tags/list"),
    ],
)
def test_the_registry(target: str, host: str, rule: UpstreamRule, name: str, path: str) -> None:
    route = routed(target, host=host)
    assert (route.rule, route.name, route.path) == (rule, name, path)


def test_docker_hub_goes_by_another_name() -> None:
    rules = (HUB, replace(DOCKER, name="dh", prefix="dh"))
    route = routed("/v2/library/nginx/tags/list?ns=docker.io", rules=rules)
    assert (route.rule, route.name) == (rules[1], "dh/library/nginx")


@pytest.mark.parametrize(
    ("target", "rules"), [("/v2/a/tags/list", (QUAY,)), ("/v2/a/tags/list?ns=other.test", ALL)]
)
def test_no_registry(target: str, rules: tuple[UpstreamRule, ...]) -> None:
    found = find_route("GET", target, "hub.test", rules)
    assert found == NoRoute(404, "NAME_UNKNOWN", "a: no registry behind this hub has it")


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/v2/docker.io/a/tags/list?ns=r.test", "hub.test"),
        ("/v2/quay.io/a/tags/list?ns=r.test", "quay.hub.test"),
        ("/v2/deep/a/tags/list", "docker.hub.test"),
    ],
)
def test_a_name_that_is_taken_is_no_way_to_another_registry(target: str, host: str) -> None:
    found = find_route("GET", target, host, ALL)
    assert isinstance(found, NoRoute)
    assert (found.status, found.code) == (404, "NAME_UNKNOWN")


def test_once_more() -> None:
    route = routed("/v2/docker.io/nginx/tags/list?n=1")
    assert not route.is_again
    for one in (route, routed("/v2/docker.io/nginx/tags/list")):
        again = routed(one.again)
        assert again.is_again
        assert (again.rule, again.path) == (DOCKER, one.path)


@pytest.mark.parametrize(
    ("method", "rest", "action"),
    [
        ("GET", "manifests/latest", Action.PULL),
        ("HEAD", MANIFEST, Action.PULL),
        ("GET", f"blobs/{digest(1)}", Action.PULL),
        ("HEAD", f"blobs/{digest(1)}", Action.PULL),
        ("GET", f"referrers/{digest(1)}", Action.PULL),
        ("GET", "tags/list", Action.PULL),
        ("PUT", "manifests/latest", Action.PUSH),
        ("DELETE", "blobs/uploads/1", Action.PUSH),
        ("POST", "blobs/uploads/", Action.PUSH),
        ("PATCH", "blobs/uploads/a-b_c.d=", Action.PUSH),
        ("PUT", f"blobs/uploads/1:2:x/y?digest={digest(1)}", Action.PUSH),
        ("GET", "blobs/uploads/x", Action.PUSH),
        ("HEAD", "blobs/uploads/x", Action.PUSH),
        ("GET", "blobs/upload/x", Action.PUSH),
    ],
)
def test_what_is_done(method: str, rest: str, action: Action) -> None:
    route = routed(f"/v2/a/b/{rest}", method)
    assert route.action is action
    assert route.asked == route.upstream_name == "a/b"
    assert route.rest == rest.replace(digest(1), quote(digest(1))) if "?" in rest else rest


@pytest.mark.parametrize(
    ("method", "target", "manifest"),
    [
        (
            "GET",
            "/v2/docker.io/nginx/manifests/1.0",
            ManifestRequest("GET", "library/nginx", "1.0"),
        ),
        ("HEAD", f"/v2/a/b/{MANIFEST}?ns=r.test", ManifestRequest("HEAD", "a/b", digest(1))),
        (
            "GET",
            f"/v2/a/manifests/{digest(1).replace(':', '%3A')}",
            ManifestRequest("GET", "a", digest(1)),
        ),
        ("PUT", "/v2/a/b/manifests/1.0", None),
        ("GET", "/v2/a/b/tags/list", None),
    ],
)
def test_manifests(method: str, target: str, manifest: ManifestRequest | None) -> None:
    assert routed(target, method).manifest == manifest


@pytest.mark.parametrize(
    "target",
    ["/v2/a/manifests/sha256:1", "/v2/a/manifests/~", f"/v2/{'a' * 1100}/manifests/latest"],
)
def test_a_manifest_is_a_tag_or_a_digest(target: str) -> None:
    for method in ("GET", "HEAD"):
        found = find_route(method, target, "hub.test", ALL)
        assert isinstance(found, NoRoute)
        assert (found.status, found.code) == (404, "MANIFEST_UNKNOWN")
        assert len(found.message) < 300
    assert routed(target, "PUT").action is Action.PUSH


@pytest.mark.parametrize(
    "target",
    [
        "",
        "/",
        "/v2/",
        "/v2/_catalog",
        "/v2/_metahub/machine-types",
        "/v1/a/manifests/latest",
        "//v2/a/manifests/latest",
        "/v2//a/manifests/latest",
        "/v2/A/manifests/latest",
        "/v2/a/manifests/",
        "/v2/a/manifests/latest/",
        "/v2/a/manifests/a/b",
        "/v2/a/blobs/",
        "/v2/a/tags/list/",
        "/v2/a/tags/list/x",
        "/v2/a/other/x",
        "/v2/../a/manifests/latest",
        "/v2/a/../b/manifests/latest",
        "/v2/a/manifests/..",
        "/v2/a/blobs/.",
        "/v2/a/blobs/uploads/../../../b/manifests/latest",
        "/v2/a/blobs/%2e%2e/%2e%2e/b/manifests/latest",
        "/v2/a/blobs/..%2f..%2fb%2fmanifests%2flatest",
        "/v2/a/blobs/uploads/%2E%2E/%2E%2E/%2E%2E/b/manifests/latest",
        "/v2/a/blobs/uploads/..\\..\\..\\b",
        "/v2/a/blobs/uploads/x;/../../b",
        "/v2/a/blobs/uploads//x",
        "/v2/a/blobs/uploads/1/2/3/4/5",
        "/v2/a%2fb/manifests/latest",
        "/v2/a/manifests/late%73t",
        "/v2/a/manifests/latest#x",
        "/v2/a/manifests/latest\n",
        "/v2/a/manifests/a b",
        "/v2/a/manifests/\udcff",
        # To whoever reads from the front, another repository.
        "/v2/a/blobs/uploads/b/manifests/latest",
        "/v2/" + "a" * 2040 + "/tags/list",
    ],
)
def test_what_no_hub_serves(target: str) -> None:
    found = find_route("GET", target, "hub.test", ALL)
    assert isinstance(found, NoRoute)
    assert (found.status, found.code) == (404, "UNSUPPORTED")


@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "CONNECT", "get", "", "MOVE"])
def test_other_methods(method: str) -> None:
    found = find_route(method, "/v2/a/manifests/latest", "hub.test", ALL)
    assert isinstance(found, NoRoute)
    assert found.status == 405


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("", ""),
        ("n=10&last=a%2Fb", "?n=10&last=a%2Fb"),
        ("empty=", "?empty="),
        ("ns=docker.io", ""),
        ("mount=sha256%3A1&from=secret/x&n=1", "?n=1"),
        ("%6dount=x&fr%6fm=y&%6e%73=z", ""),
        ("n=1;from=secret", "?n=1%3Bfrom%3Dsecret"),
        ("n=1?from=secret", "?n=1%3Ffrom%3Dsecret"),
        ("n=%ff", "?n=%EF%BF%BD"),
        ("n=\udcff", "?n=%3F"),
        ("n=1&n=2", "?n=1&n=2"),
    ],
)
def test_what_is_sent_on_of_a_query(query: str, sent: str) -> None:
    rules = (replace(DOCKER, prefix="", hosts=()),)
    route = routed(f"/v2/a/b/tags/list?{query}", host="z", rules=rules)
    assert route.path == f"/v2/a/b/tags/list{sent}"


SEGMENTS = "v2 a docker.io quay.io manifests blobs uploads tags list .. . latest referrers a__b"
ODD = ["%2e%2e", "%2F", "", "\\", "\udcff", "x%3Ay", digest(1)]
WORDS = st.sampled_from([*SEGMENTS.split(), *ODD])
PATHS = st.lists(WORDS, max_size=9).map(lambda words: "/" + "/".join(words))
NAMES = st.lists(
    st.sampled_from(["a", "docker.io", "quay.io", "deep", "library"]), min_size=1, max_size=4
).map("/".join)
QUERIES = st.one_of(
    st.text(st.characters()),
    st.sampled_from(["", "r.test", "quay.io", "docker.io", "deep", "hub.test"]).map("ns={}".format),
)
TARGETS = st.one_of(
    st.text(st.characters()),
    PATHS,
    st.tuples(PATHS, QUERIES).map("?".join),
    st.tuples(NAMES.map(lambda name: f"/v2/{name}/manifests/latest"), QUERIES).map("?".join),
)


@pytest.mark.parametrize("rest", [MANIFEST, "manifests/latest", f"blobs/{digest(1)}"])
def test_a_hub_deletes_nothing(rest: str) -> None:
    refused = find_route("DELETE", f"/v2/a/b/{rest}", "hub.test", ALL)
    assert isinstance(refused, NoRoute)
    assert (refused.status, refused.code) == (405, "UNSUPPORTED")


METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "TRACE"])
HOSTS = st.sampled_from(["hub.test", "docker.hub.test", "quay.hub.test", "", "x"])


@given(METHODS, TARGETS, HOSTS)
def test_no_request_leaves_its_repository(method: str, target: str, host: str) -> None:
    found = find_route(method, target, host, ALL)
    if isinstance(found, NoRoute):
        return
    path, _, query = found.path.partition("?")
    assert path.startswith(f"/v2/{found.upstream_name}/")
    assert not method.startswith(("GET", "HEAD")) or found.manifest or "/manifests/" not in path
    assert not {"..", ".", ""} & set(path.removesuffix("/").split("/")[1:])
    assert "%" not in path
    assert path.isascii()
    assert not {"ns", "mount", "from"} & {name for name, _ in parse_qsl(query, True)}
    assert ".." not in f"{found.asked}/{found.name}/{found.upstream_name}".split("/")


@given(METHODS, TARGETS, HOSTS)
def test_a_repository_has_one_name_at_the_hub(method: str, target: str, host: str) -> None:
    """What an allow list says of the name holds whichever way a client comes."""
    found = find_route(method, target, host, ALL)
    if isinstance(found, Route):
        again = find_route("GET", f"/v2/{found.name}/tags/list", "", ALL)
        assert isinstance(again, Route)
        assert (again.rule, again.upstream_name, again.name) == (
            found.rule,
            found.upstream_name,
            found.name,
        )


@given(st.text(), st.sampled_from(["", "?ns=quay.io", "?ns=docker.io"]), HOSTS)
def test_the_way_back_leads_to_the_same(state: str, namespace: str, host: str) -> None:
    """An upload's Location: as the registry names it, and as the hub's client follows it."""
    begun = routed(f"/v2/a/b/blobs/uploads/{namespace}", "POST", host)
    location = f"/v2/{begun.upstream_name}/blobs/uploads/id?_state={quote(state)}"
    base = f"https://{begun.rule.registry.authority}"
    for named in (location, base + location):
        led = led_back(named, begun)
        assert led.startswith(f"/v2/{begun.asked}/blobs/uploads/id")
        followed = routed(led, "PATCH", host)
        assert (followed.rule, followed.name) == (begun.rule, begun.name)
        assert parse_qsl(followed.path.partition("?")[2], True) == [("_state", state)]


UPLOAD = routed("/v2/docker.io/nginx/blobs/uploads/", "POST")
AT_QUAY = routed("/v2/quay.io/a/tags/list?n=1")


@pytest.mark.parametrize(
    ("location", "route", "led"),
    [
        ("/v2/library/nginx/blobs/uploads/1", UPLOAD, "/v2/docker.io/nginx/blobs/uploads/1"),
        ("1?x=y", UPLOAD, "/v2/docker.io/nginx/blobs/uploads/1?x=y"),
        (
            "HTTP://REGISTRY-1.docker.io/v2/library/nginx/blobs/uploads/1",
            UPLOAD,
            "/v2/docker.io/nginx/blobs/uploads/1",
        ),
        (
            "https://registry-1.docker.io:443/v2/library/nginx/blobs/uploads/1",
            UPLOAD,
            "/v2/docker.io/nginx/blobs/uploads/1",
        ),
        ("/v2/a/tags/list?last=x&n=1", AT_QUAY, "/v2/quay.io/a/tags/list?last=x&n=1"),
        (
            "https://quay.test:5000/v2/a/tags/list?n=1",  # TLS ends before the registry
            AT_QUAY,
            "/v2/quay.io/a/tags/list?n=1",
        ),
        # Nothing that this hub serves: as it is, whole.
        ("/v2/other/x", UPLOAD, "https://registry-1.docker.io/v2/other/x"),
        ("/uploads/1", UPLOAD, "https://registry-1.docker.io/uploads/1"),
        ("https://cdn.test/v2/library/nginx/x", UPLOAD, "https://cdn.test/v2/library/nginx/x"),
        ("http://quay.test:80/v2/a/x", AT_QUAY, "http://quay.test:80/v2/a/x"),
        ("http://quay.test/v2/a/x", AT_QUAY, "http://quay.test/v2/a/x"),
        ("https://[/x", UPLOAD, "https://[/x"),
    ],
)
def test_led_back(location: str, route: Route, led: str) -> None:
    assert led_back(location, route) == led


@given(st.text(st.characters()))
def test_no_location_breaks_it(location: str) -> None:
    assert isinstance(led_back(location, UPLOAD), str)
