from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.features import Feature
from metahub_addon.hub_accounts_parser import hashed
from metahub_addon.hub_config import DEFAULT_ORDER, Selector
from metahub_addon.hub_config_parser import ParsedHub, parse_hub_config
from metahub_addon.oci_platform import Platform
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.type_selection import read_login

HERE = Platform("linux", "riscv64")
HASH = "$2a$14$" + "a" * 21 + "." + "b" * 31


def parse(text: str) -> ParsedHub:
    return parse_hub_config(text, "hub.yaml", HERE, lambda user, password: HASH)


CLEAR = """\
user: user
password: hash
types:
  - name: skylake
    features:
      - cpu:skylake
  - name: broadwell
    features:
      - cpu:broadwell
  - name: nv_broadwell
    features:
      - cpu:broadwell
      - nvcap:5.2
"""
CLOUD = f"""\
# MetaHub's machine types
user: metahub
password: "{HASH}"
types:
  # instances of the cloud
  - name: c59xl
    features:
      - instType:c5
      - instSize:9xl
      - instHT:off
  - name: c59xl-ht
    features: [instType:c5, instSize:9xl, instHT:on]
# the end
"""


def test_metahubs_file_with_a_password_in_the_clear() -> None:
    parsed = parse(CLEAR)
    assert list(parsed.config.types) == ["skylake", "broadwell", "nv_broadwell"]
    assert parsed.config.types["nv_broadwell"].features == (
        Feature("cpu", "broadwell"),
        Feature("nvcap", "5.2"),
    )
    assert hashed(CLEAR, parsed.plain) == CLEAR.replace("password: hash", f'password: "{HASH}"')
    account = parsed.config.accounts["user"]
    assert (account.pull, account.push, account.administrator) == (("*",), (), False)
    for name, machine in parsed.config.types.items():
        login = read_login(parsed.config, f"user-{name}")
        assert login is not None
        assert login.machine is machine


def test_metahubs_file_with_a_hash_and_comments() -> None:
    parsed = parse(CLOUD)
    assert parsed.plain == ()
    for name, threads in (("c59xl", "off"), ("c59xl-ht", "on")):
        login = read_login(parsed.config, f"metahub-{name}")
        assert login is not None
        assert login.machine is parsed.config.types[name]
        assert login.machine.values("instHT") == (threads,)


def test_what_a_file_does_not_tell() -> None:
    config = parse(f"user: a\npassword: {HASH}\n").config
    assert dict(config.types) == {}
    assert (config.networks, config.certificates, config.upstreams) == ((), (), ())
    assert (config.order, config.trusted_proxies) == (DEFAULT_ORDER, ())
    assert (config.secret_file, config.platform) == ("", HERE)
    types = parse(f"user: a\npassword: {HASH}\ntypes: [{{name: x}}]").config.types
    assert types["x"].platform == HERE


def test_a_file_with_all_keys() -> None:
    config = parse(f"""\
user: a
password: {HASH}
types: [{{machine_type: t, platform: linux/arm64, match: exact}}]
accounts: [{{user: b, password: {HASH}}}]
networks: [{{network: 192.0.2.0/24, type: t, account: b}}]
certificates: [{{authority: /ca, type: t}}]
select: [network]
upstreams: [{{url: 'https://r.example'}}]
trusted_proxies: [192.0.2.10]
secret_file: /etc/secret
""").config
    assert list(config.accounts) == ["a", "b"]
    assert config.networks[0].account == "b"
    assert config.certificates[0].authority == "/ca"
    assert list(config.order) == [Selector.NETWORK]
    assert config.upstreams[0].name == "r.example"
    assert config.trusted_proxies == (ip_network("192.0.2.10/32"),)
    assert config.secret_file == "/etc/secret"
    assert config.types["t"].platform == Platform("linux", "arm64")


OWN = f"user: a\npassword: {HASH}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "hub.yaml:1: file: is empty"),
        ("- a", "hub.yaml:1: file: is not a mapping"),
        (OWN + "type: []", "hub.yaml:3: type: unknown key, known are user, password, types"),
        (OWN + "types:", "hub.yaml:3: types: is not a list"),
        (OWN + "types: [{}]", "hub.yaml:3: types[0]: machine_type is missing"),
        (OWN + "types: [{name: x, detect: {}}]", "hub.yaml:3: types[0].detect: unknown key"),
        (OWN + "types: [{name: x, features: [on]}]", "hub.yaml:3: types[0].features[0]: is 'on'"),
        (OWN + "types:\n- name: x\n- name: x", "hub.yaml:5: types[1]: the machine type x is given"),
        (OWN + "networks: [{network: 10.0.0.0/8, type: x}]", "hub.yaml:3: networks[0].type: 'x'"),
        (OWN + "secret_file: x", "hub.yaml:3: secret_file: is no absolute path"),
        (OWN + OWN, "hub.yaml:3: user: is given twice"),
    ],
)
def test_errors_name_file_line_and_key(text: str, says: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        parse(text)
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    "text",
    [
        "user: a\npassword: *s3cret\n",
        "user: a\npassword: !x!s3cret y\n",
        "user: a\npassword: @s3cret\n",
        "user: a\npassword: 's3cret\n",
        "user: a\npassword: s3cret: b\n",
        "user: a\npassword:s3cret\n",
        "user: a\npassword: [s3cret\n",
        "{user: a, password:s3cret}",
        "{user: a, password:s3cret, password:s3cret}",
        "user: a\npassword: {s3cret: s3cret}\n",
        "user: a\npassword: s3cret\ntypes: 5\n",
        "accounts: [{user: a, password:s3cret}]",
    ],
)
def test_no_error_quotes_a_password(text: str) -> None:
    with pytest.raises(InvalidYaml) as caught:
        parse(text)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text())
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidYaml, match=r"^hub\.yaml:[0-9]+: "):
        parse(f"{OWN}types: []\nx{text}")
