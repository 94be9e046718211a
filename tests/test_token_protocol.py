import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.challenge import parse_challenges
from metahub_addon.token_protocol import Wanted, check_realm, covers, scope_of, wanted_of
from metahub_addon.upstream import FetchError, Registry

REALM = "https://auth.test/token"
OWN = "repository:a/b:pull"


def registry(scheme: str = "https", host: str = "reg.test") -> Registry:
    return Registry(scheme=scheme, host=host, port=443, authority=host)


def wanted(header: str, name: str = "a/b", actions: str = "pull") -> Wanted | None:
    return wanted_of(parse_challenges(header), registry(), name, actions)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", None),
        ("Negotiate", None),
        ("Bearer", None),
        ('Bearer service="reg.test"', None),
        ('Basic realm="x"', Wanted("basic")),
        ("Basic", Wanted("basic")),
        (f'Bearer realm="{REALM}"', Wanted("bearer", REALM, "", OWN)),
        (f'Bearer realm="{REALM}",service="s"', Wanted("bearer", REALM, "s", OWN)),
        (f'Basic realm="x", Bearer realm="{REALM}"', Wanted("bearer", REALM, "", OWN)),
        ('Bearer error="x", Basic realm="x"', Wanted("basic")),
        (
            f'Bearer realm="{REALM}", Bearer realm="https://b.test"',
            Wanted("bearer", REALM, "", OWN),
        ),
        (
            f'Bearer realm="{REALM}",scope="repository:a/b:pull,push"',
            Wanted("bearer", REALM, "", "repository:a/b:pull,push"),
        ),
        (f'Bearer realm="{REALM}",scope="repository:other:pull"', Wanted("bearer", REALM, "", OWN)),
    ],
)
def test_what_a_registry_wants(header: str, expected: Wanted | None) -> None:
    assert wanted(header) == expected


def test_the_registry_itself_has_no_scope() -> None:
    assert wanted(f'Bearer realm="{REALM}",scope="x"', name="") == Wanted("bearer", REALM, "", "")
    assert scope_of("", "pull") == ""


@pytest.mark.parametrize(
    ("scope", "actions", "expected"),
    [
        ("repository:a/b:pull", "pull", True),
        ("repository:a/b:push,pull", "pull", True),
        ("repository:a/b:push,pull", "pull,push", True),
        ("repository:a/b:*", "pull,push", True),
        ("repository:a/b:pull repository:a/b:push", "pull,push", True),
        ("repository:a/b:pull", "pull,push", False),
        ("repository:a/b:", "pull", False),
        ("", "pull", False),
        ("registry:catalog:*", "pull", False),
        # Whoever may use a/b gets no more than a/b.
        ("repository:a/b:pull repository:c:pull", "pull", False),
        ("repository:a:pull", "pull", False),
        ("repository:*:pull", "pull", False),
        ("repository:a/b:pull  repository:a/b:push", "pull", False),
        ("repository:a/b:pull," + "x" * 1024, "pull", False),
    ],
)
def test_scopes_that_are_honoured(scope: str, actions: str, expected: bool) -> None:
    assert covers(scope, "a/b", actions) is expected


@pytest.mark.parametrize(
    ("place", "realm"),
    [
        (registry(), "https://reg.test/token"),
        (registry(), "https://auth.elsewhere.test:8443/token?x=1"),
        (registry(), "HTTPS://auth.test"),
        (registry(), "https://8.8.8.8/token"),
        (registry("http"), "http://auth.test/token"),
        (registry("http"), "https://auth.test/token"),
        (registry("http", "127.0.0.1"), "http://127.0.0.1:5001/token"),
        (registry("http", "localhost"), "http://[::1]:5001/token"),
        (registry("https", "10.0.0.1"), "https://10.0.0.2/token"),
    ],
)
def test_realms(place: Registry, realm: str) -> None:
    check_realm(place, realm)


@pytest.mark.parametrize(
    ("place", "realm", "message"),
    [
        (registry(), "http://auth.test/token", "of auth.test without TLS"),
        (registry(), "ftp://auth.test/token", "of auth.test without TLS"),
        (registry("http"), "file://auth.test/token", "without TLS"),
        (registry(), "//auth.test/token", "without TLS"),
        (registry(), "/token", "no plain URL"),
        (registry(), "file:///etc/passwd", "no plain URL"),
        (registry(), "", "no plain URL"),
        (registry(), "https://", "no plain URL"),
        (registry(), "https://auth.test:x/token", "no plain URL"),
        (registry(), "https://auth.test:70000/token", "no plain URL"),
        (registry(), "https://[::1/token", "no plain URL"),
        (registry(), "https://user:secret@auth.test/token", "no plain URL"),
        (registry(), "https://auth.test/to\x1bken", "no plain URL"),
        (registry(), "https://auth.test/tök", "no plain URL"),
        (registry(), "https://127.0.0.1/token", "127.0.0.1, which is local"),
        (registry(), "https://169.254.169.254/latest/meta-data", "which is local"),
        (registry(), "https://10.0.0.1/token", "which is local"),
        (registry(), "https://[::1]/token", "which is local"),
        (registry(), "https://localhost/token", "which is local"),
        (registry(), "https://2130706433/token", "which is local"),
        (registry(), "https://%31%32%37.0.0.1/token", "which is local"),
        (registry(), "https://a.test\\.127.0.0.1/token", "which is local"),
        (registry(), "https://a.test\\@127.0.0.1/token", "no plain URL"),
        (registry("https", "8.8.8.8"), "https://127.0.0.1/token", "which is local"),
    ],
)
def test_realms_that_are_not_asked(place: Registry, realm: str, message: str) -> None:
    with pytest.raises(FetchError, match=message) as caught:
        check_realm(place, realm)
    assert "secret" not in str(caught.value)
    assert str(caught.value).isprintable()


HOST = st.text(st.sampled_from("a.1[]:@%\\x0l"), max_size=12) | st.sampled_from(
    ["127.0.0.1", "::1"]
)


@given(st.sampled_from(["https://", "http://", "//", ""]), HOST, st.text(max_size=8))
def test_any_realm_is_fine_or_a_fetch_error(scheme: str, host: str, rest: str) -> None:
    try:
        check_realm(registry(), f"{scheme}{host}/{rest}")
    except FetchError:
        return
    assert scheme == "https://"
    assert host != "127.0.0.1"
