from ipaddress import ip_network

import pytest

from metahub_addon.hub_config import Account, CertificateRule, NetworkRule, Selector
from metahub_addon.hub_rules_parser import (
    parse_certificates,
    parse_networks,
    parse_order,
    parse_proxies,
)
from metahub_addon.strict_yaml import InvalidYaml, Value, read_yaml

TYPES = ("t1", "t2", "t3")
ACCOUNTS = {
    "a": Account(user="a", password="", types=("t1",), own_type="t2"),
    "b": Account(user="b", password="", types=TYPES),
}
HEX = "0123456789abcdef" * 4
COLONS = "sha256:" + ":".join(HEX[at : at + 2].upper() for at in range(0, 64, 2))


def value(text: str) -> Value:
    return read_yaml(f"x:\n{text}", "f").mapping()["x"]


def networks(text: str) -> tuple[NetworkRule, ...]:
    return parse_networks(value(text), TYPES, ACCOUNTS)


def certificates(text: str) -> tuple[CertificateRule, ...]:
    return parse_certificates(value(text), TYPES, ACCOUNTS)


def test_networks() -> None:
    assert networks(
        "- {network: 192.0.2.0/24, type: t1}\n"
        "- {network: '2001:db8::/32', type: t2, account: a}\n"
        "- {network: 192.0.2.7, type: t3, account: b}\n"
    ) == (
        NetworkRule(network=ip_network("192.0.2.0/24"), type="t1"),
        NetworkRule(network=ip_network("2001:db8::/32"), type="t2", account="a"),
        NetworkRule(network=ip_network("192.0.2.7/32"), type="t3", account="b"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (" a: b", "f:2: x: is not a list"),
        ("- {type: t1}", "f:2: x[0]: network is missing"),
        ("- {network: 192.0.2.0/24}", "f:2: x[0]: type is missing"),
        ("- {network: 192.0.2.0/24, type: t1, user: a}", "f:2: x[0].user: unknown key"),
        ("- {network: 192.0.2.1/24, type: t1}", "f:2: x[0].network: '192.0.2.1/24' is no network"),
        ("- {network: x, type: t1}", "f:2: x[0].network: 'x' is no network"),
        ("- {network: 5, type: t1}", "f:2: x[0].network: is '5', not a string"),
        ("- {network: 192.0.2.0/24, type: t9}", "f:2: x[0].type: 't9' is no machine type"),
        (
            "- {network: 192.0.2.0/24, type: t1, account: c}",
            "f:2: x[0].account: 'c' is no account of this file",
        ),
        (
            "- {network: 192.0.2.0/24, type: t3, account: a}",
            "f:2: x[0].account: a has not the machine type t3",
        ),
        (
            "- {network: 192.0.2.0/32, type: t1}\n- {network: 192.0.2.0, type: t2}",
            "f:3: x[1].network: 192.0.2.0/32 is given twice",
        ),
    ],
)
def test_what_is_no_network_rule(text: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        networks(text)
    assert str(caught.value).startswith(says)


def test_certificates() -> None:
    assert certificates(
        f"- {{fingerprint: '{COLONS}', type: t2, account: a}}\n"
        "- {authority: /ca.pem, name: 'gpu*', type: t3}\n"
        "- {authority: /ca.pem, type: t1}\n"
    ) == (
        CertificateRule(fingerprint=HEX, type="t2", account="a"),
        CertificateRule(authority="/ca.pem", name="gpu*", type="t3"),
        CertificateRule(authority="/ca.pem", type="t1"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- {type: t1}", "f:2: x[0]: needs one of fingerprint and authority"),
        (
            f"- {{fingerprint: '{HEX}', authority: /ca, type: t1}}",
            "f:2: x[0]: needs one of fingerprint and authority",
        ),
        (
            f"- {{fingerprint: '{HEX}', name: x, type: t1}}",
            "f:2: x[0].name: goes with authority only",
        ),
        ("- {fingerprint: ab, type: t1}", "f:2: x[0].fingerprint: is no SHA-256"),
        ("- {authority: ca, type: t1}", "f:2: x[0].authority: is no absolute path"),
        ("- {authority: /ca, type: t9}", "f:2: x[0].type: 't9' is no machine type"),
        ("- {authority: /ca, type: t3, account: a}", "f:2: x[0].account: a has not"),
        (
            f"- {{fingerprint: '{HEX}', type: t1}}\n- {{fingerprint: '{COLONS}', type: t2}}",
            "f:3: x[1]: is for the same certificates as an earlier one",
        ),
        (
            "- {authority: /ca, type: t1}\n- {authority: /ca, name: '*', type: t2}",
            "f:3: x[1]: is for the same certificates as an earlier one",
        ),
    ],
)
def test_what_is_no_certificate_rule(text: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        certificates(text)
    assert str(caught.value).startswith(says)


def test_the_order() -> None:
    order = parse_order(value(" [network, user]"))
    assert order == (Selector.NETWORK, Selector.USER)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (" []", "f:2: x: names no selector"),
        (" [user, user]", "f:2: x[1]: user is given twice"),
        (" [users]", "f:2: x[0]: 'users' is unknown, known are user, network, certificate"),
    ],
)
def test_what_is_no_order(text: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        parse_order(value(text))
    assert str(caught.value) == says


def test_proxies() -> None:
    assert parse_proxies(value(" [192.0.2.10, '2001:db8::/64']")) == (
        ip_network("192.0.2.10/32"),
        ip_network("2001:db8::/64"),
    )
    with pytest.raises(InvalidYaml, match=r"f:2: x\[0\]: 'proxy' is no network"):
        parse_proxies(value(" [proxy]"))
