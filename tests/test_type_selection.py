from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.client_certificates import ShownCertificate
from metahub_addon.hub_config import (
    Account,
    CertificateRule,
    HubConfig,
    NetworkRule,
    Selector,
)
from metahub_addon.hub_config_parser import parse_hub_config
from metahub_addon.machine import MachineType
from metahub_addon.oci_platform import Platform
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.type_selection import (
    Login,
    NotSelected,
    Presented,
    Selected,
    read_login,
    select,
)

AMD64 = Platform("linux", "amd64")
USER, NETWORK, CERTIFICATE = Selector.USER, Selector.NETWORK, Selector.CERTIFICATE


def types(*names: str) -> Mapping[str, MachineType]:
    return {name: MachineType(name=name, platform=AMD64) for name in names}


CONFIG = HubConfig(
    types=types("c59xl", "c59xl-ht", "t1", "t2", "t3"),
    accounts={
        "metahub": Account(user="metahub", password="", types=("c59xl", "c59xl-ht", "t1")),
        "gpu": Account(user="gpu", password="", types=("t2",), own_type="t3", features=False),
        "gpu-x": Account(user="gpu-x", password="", types=("t1",)),
    },
)


@pytest.mark.parametrize(
    ("user", "account", "machine", "unknown"),
    [
        ("metahub", "metahub", "", ""),
        ("metahub-c59xl", "metahub", "c59xl", ""),
        ("metahub-c59xl-ht", "metahub", "c59xl-ht", ""),
        ("metahub-t2", "metahub", "", "t2"),  # there, but not this account's
        ("metahub-t9", "metahub", "", "t9"),
        ("metahub-c59xl-ht-x", "metahub", "", "c59xl-ht-x"),
        ("metahub/cpu#zen2", "metahub", "cpu:zen2", ""),
        ("metahub/cpu%23zen2/nvcap#8.0", "metahub", "cpu:zen2,nvcap:8.0", ""),
        ("metahub/cpu#", "metahub", "", "cpu#"),
        ("metahub/", "metahub", "", "/"),
        ("metahub-t1/cpu#zen2", "metahub", "", "cpu#zen2"),
        ("gpu", "gpu", "t3", ""),
        ("gpu-t2", "gpu", "t2", ""),
        ("gpu-t3", "gpu", "t3", ""),
        ("gpu/cpu#zen2", "gpu", "", "cpu#zen2"),
        ("gpu-x", "gpu-x", "", ""),
        ("gpu-x-t1", "gpu-x", "t1", ""),
        ("gpu-x-t9", "gpu-x", "", "t9"),
        ("gpu-y", "gpu", "", "y"),
    ],
)
def test_logins(user: str, account: str, machine: str, unknown: str) -> None:
    login = read_login(CONFIG, user)
    assert login is not None
    assert login.account.user == account
    assert (login.machine.name if login.machine else "") == machine
    assert login.unknown == unknown


@pytest.mark.parametrize(
    "user", ["", "-", "/", "nobody", "nobody-t1", "metahub-", "metahu", "Metahub", "-metahub", "t1"]
)
def test_who_is_no_account(user: str) -> None:
    assert read_login(CONFIG, user) is None


NAMES = st.text("ab-", min_size=1, max_size=4).filter(lambda name: name[0] != "-")


@given(
    st.lists(NAMES, unique=True, max_size=4),
    st.lists(st.tuples(NAMES, st.none() | st.lists(NAMES, max_size=3, unique=True)), max_size=4),
)
def test_every_login_of_a_file_that_parses_is_one_account_and_type(
    named: Sequence[str], accounts: Sequence[tuple[str, Sequence[str] | None]]
) -> None:
    text = f"types: {[{'name': name} for name in named]}\naccounts:\n"
    for user, own in accounts:
        chosen = "" if own is None else f", types: {[name for name in own if name in named]}"
        text += f"- {{user: '{user}', password: x{chosen}}}\n"
    try:
        config = parse_hub_config(text, "f", AMD64, lambda user, password: user).config
    except InvalidYaml as error:
        expected = ("is given twice", "would be that of both", "accounts: is not a list")
        assert any(word in str(error) for word in expected)
        return
    logins = [(user, "") for user in config.accounts]
    for account in config.accounts.values():
        logins += [(account.user, name) for name in config.types_of(account)]
    written = [f"{user}-{name}" if name else user for user, name in logins]
    assert len(set(written)) == len(written)
    for (user, name), login in zip(logins, written, strict=True):
        read = read_login(config, login)
        assert read is not None
        assert read.account.user == user
        assert (read.machine.name if read.machine else "") == name
        assert not read.unknown


@given(st.text("metahubgpu-tx1/#%23,c59"))
def test_any_name_is_read_without_an_error(user: str) -> None:
    login = read_login(CONFIG, user)
    assert login is None or not (login.machine and login.unknown)


RULES = HubConfig(
    types=types("t1", "t2", "t3", "t4"),
    accounts={
        "a": Account(user="a", password="", types=("t1", "t2", "t3", "t4")),
        "b": Account(user="b", password="", types=("t2",)),
    },
    networks=(
        NetworkRule(network=ip_network("192.0.2.0/24"), type="t1"),
        NetworkRule(network=ip_network("192.0.2.128/25"), type="t2", account="b"),
        NetworkRule(network=ip_network("0.0.0.0/0"), type="t3", account="a"),
        NetworkRule(network=ip_network("2001:db8::/32"), type="t4", account="a"),
    ),
    certificates=(
        CertificateRule(authority="/ca", name="gpu*", type="t4", account="a"),
        CertificateRule(authority="/ca", type="t3"),
        CertificateRule(fingerprint="ab", type="t2", account="b"),
    ),
)
LOGGED_IN = Login(account=RULES.accounts["a"])
AS_T1 = Login(account=RULES.accounts["a"], machine=RULES.types["t1"])
AS_B = Login(account=RULES.accounts["b"])
UNKNOWN = Login(account=RULES.accounts["a"], unknown="t9\n")
INSIDE, UPPER, OUTSIDE = map(ip_address, ("192.0.2.1", "192.0.2.200", "198.51.100.1"))
GPU, CPU, PINNED, FOREIGN, BROKEN_LINE, EXPIRED, NAMELESS = (
    ShownCertificate(fingerprint=fingerprint, common_name=name, chain=(issuer,))
    for fingerprint, name, issuer in [
        ("01", "gpu7", b"/ca"),
        ("02", "cpu7", b"/ca"),
        ("ab", "gpu8", b"/ca"),
        ("03", "gpu9", b"/other"),
        ("04", "gpu7\n", b"/ca"),
        ("ab", "gpu8", b"expired"),
        ("05", "", b"/ca"),
    ]
)


def fits(rule: CertificateRule, shown: ShownCertificate) -> bool:
    if rule.fingerprint:
        return shown.chain[0] != b"expired"
    return shown.chain[0] == rule.authority.encode()


def choose(
    login: Login | None = None,
    address: IPv4Address | IPv6Address | None = None,
    certificate: ShownCertificate | None = None,
    order: Sequence[Selector] = RULES.order,
) -> Selected:
    config = HubConfig(
        types=RULES.types,
        accounts=RULES.accounts,
        networks=RULES.networks,
        certificates=RULES.certificates,
        order=order,
    )
    presented = Presented(login=login, address=address, certificate=certificate)
    return select(config, presented, fits)


@pytest.mark.parametrize(
    ("login", "address", "certificate", "order", "selected"),
    [
        (AS_T1, None, None, RULES.order, ("a", "t1", USER)),
        (AS_T1, UPPER, GPU, RULES.order, ("a", "t1", USER)),
        (AS_T1, UPPER, GPU, (CERTIFICATE, USER), ("a", "t4", CERTIFICATE)),
        (AS_T1, UPPER, GPU, (NETWORK, CERTIFICATE, USER), ("a", "t2", NETWORK)),
        (AS_T1, UPPER, None, (CERTIFICATE, NETWORK), ("a", "t2", NETWORK)),
        (LOGGED_IN, UPPER, GPU, RULES.order, ("a", "t4", CERTIFICATE)),
        (LOGGED_IN, UPPER, FOREIGN, RULES.order, ("a", "t2", NETWORK)),
        (LOGGED_IN, INSIDE, None, RULES.order, ("a", "t1", NETWORK)),
        (LOGGED_IN, OUTSIDE, None, RULES.order, ("a", "t3", NETWORK)),
        (AS_B, UPPER, None, RULES.order, ("b", "t2", NETWORK)),
        (None, UPPER, None, RULES.order, ("b", "t2", NETWORK)),
        (None, OUTSIDE, None, RULES.order, ("a", "t3", NETWORK)),
        (None, ip_address("2001:db8::1"), None, RULES.order, ("a", "t4", NETWORK)),
        (None, ip_address("::ffff:192.0.2.200"), None, RULES.order, ("b", "t2", NETWORK)),
        (None, None, GPU, RULES.order, ("a", "t4", CERTIFICATE)),
        (None, None, PINNED, RULES.order, ("b", "t2", CERTIFICATE)),
        (None, OUTSIDE, CPU, RULES.order, ("a", "t3", CERTIFICATE)),
        (LOGGED_IN, None, NAMELESS, RULES.order, ("a", "t3", CERTIFICATE)),
        (LOGGED_IN, INSIDE, BROKEN_LINE, RULES.order, ("a", "t1", NETWORK)),
        # The account is the certificate's, the type the network's.
        (None, UPPER, GPU, (NETWORK,), ("a", "t2", NETWORK)),
    ],
)
def test_the_first_selector_that_tells_a_type_wins(
    login: Login | None,
    address: IPv4Address | IPv6Address | None,
    certificate: ShownCertificate | None,
    order: Sequence[Selector],
    selected: tuple[str, str, Selector],
) -> None:
    found = choose(login, address, certificate, order)
    assert (found.account.user, found.machine.name, found.by) == selected


@pytest.mark.parametrize(
    ("login", "address", "certificate", "order", "says", "needs_login"),
    [
        (None, None, None, RULES.order, "log in", True),
        (None, INSIDE, None, RULES.order, "log in", True),  # a type, but nobody's
        (None, None, CPU, RULES.order, "log in", True),
        (None, None, FOREIGN, RULES.order, "log in", True),
        (None, None, EXPIRED, RULES.order, "log in", True),
        (None, None, BROKEN_LINE, RULES.order, "log in", True),
        (None, ip_address("2001:db9::1"), None, RULES.order, "log in", True),
        (LOGGED_IN, None, None, RULES.order, "log in as one of: a-t1, a-t2, a-t3, a-t4", False),
        (LOGGED_IN, UPPER, None, (USER,), "a alone tells no machine type", False),
        (LOGGED_IN, None, None, (NETWORK,), "a: no rule tells this client's", False),
        (AS_T1, None, None, (NETWORK,), "a: no rule tells this client's", False),
        (UNKNOWN, UPPER, GPU, RULES.order, r"a has no machine type or features 't9\\n'", False),
        (UNKNOWN, UPPER, GPU, (NETWORK,), "a has no machine type or features", False),
        (AS_B, INSIDE, None, RULES.order, "b has not the machine type t1", False),
        (AS_B, UPPER, GPU, RULES.order, "b has not the machine type t4", False),
        (None, INSIDE, PINNED, (NETWORK,), "b has not the machine type t1", False),
    ],
)
def test_who_is_refused(
    login: Login | None,
    address: IPv4Address | IPv6Address | None,
    certificate: ShownCertificate | None,
    order: Sequence[Selector],
    says: str,
    needs_login: bool,
) -> None:
    with pytest.raises(NotSelected) as caught:
        choose(login, address, certificate, order)
    assert says in str(caught.value)
    assert caught.value.needs_login is needs_login


def test_features_of_a_login_need_no_type_in_the_file() -> None:
    login = read_login(RULES, "b/cpu#zen2")
    selected = choose(login, UPPER, GPU)
    assert (selected.account.user, selected.machine.name, selected.by) == ("b", "cpu:zen2", USER)


def test_who_tells_no_type_is_told_what_to_log_in_as() -> None:
    account = Account(user="a", password="", types=("t1", "t2"), own_type="t1")
    config = HubConfig(
        types=RULES.types, accounts={"a": account}, order=(Selector.NETWORK, Selector.USER)
    )
    with pytest.raises(NotSelected, match=r"log in as one of: a, a-t2$"):
        select(config, Presented(login=Login(account=account)), fits)


def test_an_account_without_types_is_told_so() -> None:
    config = HubConfig(types={}, accounts={"a": Account(user="a", password="")})
    with pytest.raises(NotSelected, match="log in as one of: none"):
        select(config, Presented(login=read_login(config, "a")), fits)
