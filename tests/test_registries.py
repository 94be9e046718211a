import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.registries import (
    InvalidRegistry,
    Registries,
    RegistryPattern,
    layers_ports,
    parse_registries,
)

PORTS = st.integers(1, 65535)
NAMES = st.from_regex(re.compile(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?", re.ASCII), fullmatch=True)
ADDRESSES = st.ip_addresses(v=6).map(str)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("reg.test", "reg.test", None),
        ("reg.test:5000", "reg.test", 5000),
        (" Reg.Test:443 ", "reg.test", 443),
        ("localhost", "localhost", None),
        ("*.azurecr.test", "*.azurecr.test", None),
        ("*", "*", None),
        ("*:5000", "*", 5000),
        ("r?g.test:1", "r?g.test", 1),
        ("my_registry:5000", "my_registry", 5000),
        ("192.0.2.1:5000", "192.0.2.1", 5000),
        ("[2001:DB8::1]", "2001:db8::1", None),
        ("[::1]:5000", "::1", 5000),
        ("[::ffff:192.0.2.1]:65535", "::ffff:192.0.2.1", 65535),
    ],
)
def test_parse(text: str, host: str, port: int | None) -> None:
    assert RegistryPattern.parse(text) == RegistryPattern(host, port)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'': is not host[:port]"),
        (":5000", "':5000': is not host[:port]"),
        ("reg.test:", "'reg.test:': '' is not a port"),
        ("reg.test:0", "'reg.test:0': '0' is not a port"),
        ("reg.test:65536", "'65536' is not a port"),
        ("reg.test:http", "'http' is not a port"),
        ("reg.test:-1", "'-1' is not a port"),
        (f"reg.test:{'9' * 5000}", "is not a port"),
        ("reg.test:\uff14\uff14\uff13", "is not a port"),
        ("https://reg.test", "'//reg.test' is not a port"),
        ("reg.test/name", "is not host[:port]"),
        ("::1", "is not host[:port]"),
        ("2001:db8::1:5000", "is not host[:port]"),
        ("[::1", "is not host[:port]"),
        ("[]", "is not host[:port]"),
        ("[::1]x:1", "is not host[:port]"),
        (".reg.test", "is not host[:port]"),
        ("reg test", "is not host[:port]"),
        ("reg.[ab].test", "is not host[:port]"),
        ("r" * 300, "is not host[:port]"),
    ],
)
def test_what_names_no_registry_is_quoted(text: str, says: str) -> None:
    with pytest.raises(InvalidRegistry) as caught:
        RegistryPattern.parse(text)
    assert says in str(caught.value)


@given(NAMES, st.none() | PORTS)
def test_a_name_is_read_as_it_was_written(host: str, port: int | None) -> None:
    text = host if port is None else f"{host}:{port}"
    pattern = RegistryPattern.parse(text)
    assert pattern == RegistryPattern(host, port)
    assert not pattern.is_wildcard
    assert pattern.matches(host, port or 5000)


@given(ADDRESSES, st.none() | PORTS)
def test_an_ipv6_address_is_read_as_it_was_written(address: str, port: int | None) -> None:
    text = f"[{address}]" if port is None else f"[{address}]:{port}"
    pattern = RegistryPattern.parse(text)
    assert pattern == RegistryPattern(address, port)
    assert pattern.matches(address.upper(), port or 443)


@given(st.text(max_size=100))
def test_no_text_is_too_odd(text: str) -> None:
    try:
        pattern = RegistryPattern.parse(text)
    except InvalidRegistry:
        return
    assert pattern.host in text.lower()
    assert pattern.port is None or 0 < pattern.port < 65536


@pytest.mark.parametrize(
    ("text", "host", "port", "matches"),
    [
        ("reg.test", "reg.test", 1, True),
        ("reg.test", "REG.test.", 443, True),
        ("reg.test", "a.reg.test", 443, False),
        ("reg.test:5000", "reg.test", 5000, True),
        ("reg.test:5000", "reg.test", 443, False),
        ("*.reg.test", "a.reg.test", 443, True),
        ("*.reg.test", "a.b.reg.test", 443, True),
        ("*.reg.test", "reg.test", 443, False),
        ("*.reg.test", "a.reg.test.evil.test", 443, False),
        ("r?g.test", "rxg.test", 443, True),
        ("r?g.test", "rg.test", 443, False),
        ("*", "anything.test", 1, True),
        ("[::1]:5000", "::1", 5000, True),
        ("[::1]:5000", "::2", 5000, False),
    ],
)
def test_matches(text: str, host: str, port: int, matches: bool) -> None:
    assert RegistryPattern.parse(text).matches(host, port) is matches
    assert parse_registries([text]).include(host, port) is matches
    assert parse_registries([text]).name(host, port) is matches


@pytest.mark.parametrize(
    ("text", "wildcard"), [("reg.test", False), ("*.reg.test", True), ("r?g.test:1", True)]
)
def test_wildcards(text: str, wildcard: bool) -> None:
    assert RegistryPattern.parse(text).is_wildcard is wildcard


def test_without_a_pattern_all_are_included_and_none_is_named() -> None:
    assert Registries().include("reg.test", 1)
    assert not Registries().name("reg.test", 1)


def test_a_pattern_counts_once() -> None:
    found = parse_registries(["b.test", "a.test:1", " B.test"])
    assert found.patterns == (RegistryPattern("b.test"), RegistryPattern("a.test", 1))


def test_one_bad_pattern_is_an_error() -> None:
    with pytest.raises(InvalidRegistry, match=r"'b\.test:x': 'x' is not a port"):
        parse_registries(["a.test", "b.test:x"])


@pytest.mark.parametrize(
    ("texts", "named"),
    [
        ([], False),
        (["reg.test"], True),
        (["REG.test:443"], True),
        (["reg.test:5000"], False),
        (["*.test"], False),
        (["*", "other.test"], False),
        (["*", "reg.test"], True),
    ],
)
def test_who_is_named_outright(texts: list[str], named: bool) -> None:
    """A wildcard includes whoever it matches, and vouches for none."""
    assert parse_registries(texts).name_one("reg.test", 443) is named


@pytest.mark.parametrize(
    ("texts", "ports"),
    [
        ([], (443,)),
        (["a.test"], (443,)),
        (["a.test:443"], (443,)),
        (["a.test:5000", "b.test:80", "*.c.test:5000"], (443, 80, 5000)),
    ],
)
def test_ports(texts: list[str], ports: tuple[int, ...]) -> None:
    assert parse_registries(texts).ports == ports


@pytest.mark.parametrize(
    ("base", "ports", "layers"),
    [
        (0, (443, 5000), {}),
        (17443, (443,), {443: 17443}),
        (17443, (443, 80, 5000), {443: 17443, 80: 17444, 5000: 17445}),
        (65534, (443, 80), {443: 65534, 80: 65535}),
    ],
)
def test_layers_ports(base: int, ports: tuple[int, ...], layers: dict[int, int]) -> None:
    assert layers_ports(base, ports) == layers


@pytest.mark.parametrize(
    ("base", "ports", "says"),
    [
        (-1, (443,), "layers ports -1 to -1"),
        (65535, (443, 80), "layers ports 65535 to 65536"),
        (5000, (443, 5001), "layers ports 5000 to 5001: no ports, or a registry's own"),
        (443, (443,), "layers ports 443 to 443"),
    ],
)
def test_layers_ports_that_do_not_fit(base: int, ports: tuple[int, ...], says: str) -> None:
    with pytest.raises(InvalidRegistry, match=says):
        layers_ports(base, ports)


@given(st.integers(-10, 66000), st.lists(PORTS, max_size=8))
def test_each_port_has_a_layers_port_of_its_own(base: int, named: list[int]) -> None:
    ports = parse_registries(f"reg.test:{port}" for port in named).ports
    try:
        layers = layers_ports(base, ports)
    except InvalidRegistry:
        assert (
            base < 1 or base + len(ports) > 65536 or set(range(base, base + len(ports))) & {*ports}
        )
        return
    assert list(layers) == (list(ports) if base else [])
    assert len({*layers.values()}) == len(layers)
    assert not {*layers.values()} & {*ports}
    assert all(0 < port < 65536 for port in layers.values())
