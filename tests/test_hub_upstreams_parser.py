import pytest

from metahub_addon.hub_config import UpstreamRule
from metahub_addon.hub_upstreams_parser import parse_upstreams
from metahub_addon.strict_yaml import InvalidYaml, read_yaml
from metahub_addon.upstream import Registry


def parse(*items: str) -> tuple[UpstreamRule, ...]:
    text = "upstreams:\n" + "".join(f"- {item}\n" for item in items)
    return parse_upstreams(read_yaml(text, "f").mapping()["upstreams"])


def test_a_registry_with_all_keys() -> None:
    assert parse(
        "{name: docker.io, url: 'https://registry-1.docker.io/', prefix: docker.io,"
        " hosts: [docker.hub.example], username: puller, password_file: /etc/pw}"
    ) == (
        UpstreamRule(
            name="docker.io",
            registry=Registry(
                scheme="https",
                host="registry-1.docker.io",
                port=443,
                authority="registry-1.docker.io",
                sni="registry-1.docker.io",
                verified=True,
            ),
            prefix="docker.io",
            hosts=("docker.hub.example",),
            username="puller",
            password_file="/etc/pw",
        ),
    )


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port", "authority"),
    [
        ("https://R.Example", "https", "r.example", 443, "r.example"),
        ("https://r.example.", "https", "r.example", 443, "r.example"),
        ("https://r.example:443/", "https", "r.example", 443, "r.example"),
        ("https://r.example:5000", "https", "r.example", 5000, "r.example:5000"),
        ("http://127.0.0.1:5000", "http", "127.0.0.1", 5000, "127.0.0.1:5000"),
        ("http://r.example", "http", "r.example", 80, "r.example"),
        ("https://[2001:db8::1]", "https", "2001:db8::1", 443, "[2001:db8::1]"),
        ("https://[2001:db8::1]:5000", "https", "2001:db8::1", 5000, "[2001:db8::1]:5000"),
    ],
)
def test_urls(url: str, scheme: str, host: str, port: int, authority: str) -> None:
    (rule,) = parse(f"{{url: '{url}'}}")
    registry = rule.registry
    assert (registry.scheme, registry.host, registry.port) == (scheme, host, port)
    assert registry.authority == authority
    assert (registry.sni, registry.verified) == ((host, True) if scheme == "https" else ("", False))
    assert rule.name == host


ONE = "{url: 'https://a.example', prefix: a}"
WRONG_URL = "is not http[s]://host[:port] (no user, no path)"


@pytest.mark.parametrize(
    ("item", "says"),
    [
        ("{prefix: b}", "upstreams[1]: url is missing"),
        ("{url: 'https://b', user: x}", "upstreams[1].user: unknown key"),
        ("{url: 'https://b/v2'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://user:secret@b'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://b?x=1'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://b#x'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'ftp://b'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'b.example'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://b:0'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://b:66000'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://[b'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 'https://b c'}", f"upstreams[1].url: {WRONG_URL}"),
        ("{url: 5}", "upstreams[1].url: is '5', not a string"),
        ("{url: 'https://b', name: a b}", "upstreams[1].name: 'a b' is no name"),
        ("{url: 'https://b', prefix: B}", "upstreams[1].prefix: 'B' is no repository's name"),
        ("{url: 'https://b', prefix: b/}", "upstreams[1].prefix: 'b/' is no repository's name"),
        ("{url: 'https://b', hosts: ['b:1']}", "upstreams[1].hosts[0]: 'b:1' is no host's name"),
        ("{url: 'https://b', hosts: []}", "upstreams[1].hosts: names no host"),
        ("{url: 'https://b', username: u}", "upstreams[1]: username and password_file go together"),
        (
            "{url: 'https://b', username: u, password_file: /p, docker_config: /c}",
            "upstreams[1]: has both a username and a docker_config",
        ),
        ("{url: 'https://b', docker_config: c}", "upstreams[1].docker_config: is no absolute"),
        ("{url: 'https://a.example', prefix: b}", "upstreams[1]: the name a.example is given"),
        ("{url: 'https://b', prefix: a}", "upstreams[1]: a and a both begin the same names"),
        ("{url: 'https://b', prefix: a/b}", "upstreams[1]: a/b and a both begin the same names"),
        (
            "{name: a, url: 'https://b', hosts: [h.example]}",  # its name is how it is shown
            "upstreams[1]: a and a both begin the same names",
        ),
        (
            "{name: b, url: 'https://a.example', prefix: b, docker_config: /c}",
            "upstreams[1]: is the registry of a.example with other credentials",
        ),
    ],
)
def test_errors_name_the_key_and_no_secret(item: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        parse(ONE, item)
    assert str(caught.value).startswith(f"f:3: {says}")
    assert "secret" not in str(caught.value)


def test_a_name_that_lies_above_an_earlier_one() -> None:
    with pytest.raises(InvalidYaml, match=r"a and a/b both begin"):
        parse("{url: 'https://b', prefix: a/b}", ONE)


def test_a_host_and_all_else_belong_to_one() -> None:
    with pytest.raises(InvalidYaml, match=r"f:3: upstreams\[1\]: the host h is given twice"):
        parse("{url: 'https://b', hosts: [h]}", "{url: 'https://c', hosts: [g, h]}")
    with pytest.raises(InvalidYaml, match=r"f:3: upstreams\[1\]: is for all else, as b is"):
        parse("{url: 'https://b'}", "{url: 'https://c'}")


def test_what_stands_side_by_side() -> None:
    rules = parse(
        ONE,
        "{url: 'https://b', prefix: ab}",
        "{url: 'https://c', hosts: [h]}",
        "{url: 'https://d'}",
        "{name: again, url: 'https://a.example', prefix: again}",
        "{url: 'https://e', prefix: e/f, hosts: [i]}",
        "{url: 'https://g', prefix: e/fg}",
    )
    assert [rule.name for rule in rules] == ["a.example", "b", "c", "d", "again", "e", "g"]
