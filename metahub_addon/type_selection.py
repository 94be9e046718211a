"""Which account and which machine type a client of a hub is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv6Address

from metahub_addon.client_certificates import ShownCertificate
from metahub_addon.hub_config import Account, CertificateRule, HubConfig, NetworkRule, Selector
from metahub_addon.login_features import machine_with
from metahub_addon.machine import MachineType
from metahub_addon.printable import printable

FitsCertificate = Callable[[CertificateRule, ShownCertificate], bool]
_SHOWN = 200


class NotSelected(Exception):
    """A client that is no account (`needs_login`), or has no machine type; says why."""

    def __init__(self, message: str, needs_login: bool = False) -> None:
        super().__init__(message)
        self.needs_login = needs_login


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who a user's name stands for, if the password is the account's.

    `machine` is None where the name tells none: a bare name without an own type, or one
    with `unknown`, which is what it names and the account does not have.
    """

    account: Account
    machine: MachineType | None = None
    unknown: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a client shows: a login whose password was right, its address, its certificate."""

    login: Login | None = None
    address: IPv4Address | IPv6Address | None = None
    certificate: ShownCertificate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The account and machine type of a client, and by what the type was told."""

    account: Account
    machine: MachineType
    by: Selector


def read_login(config: HubConfig, user: str) -> Login | None:
    """Read `account`, `account-type` or `account/feature#value`; None: no such account.

    Several features are told apart by `/` or `,`; `#` may be written `%23`.
    """
    name, slash, features = user.partition("/")
    login = _read_name(config, name)
    if login is None or not slash:
        return login
    account = login.account
    if name != account.user or not account.features:
        return Login(account=account, unknown=features or slash)
    machine = machine_with(features, config.platform)
    return Login(account=account, machine=machine, unknown="" if machine else features or slash)


def _read_name(config: HubConfig, name: str) -> Login | None:
    account = config.accounts.get(name)
    if account is not None:
        return Login(account=account, machine=config.types.get(account.own_type))
    found = list(_splits(config, name))
    for owner, type_name in found:
        if type_name in owner.types or type_name == owner.own_type:
            return Login(account=owner, machine=config.types[type_name])
    if not found:
        return None
    owner, type_name = found[-1]  # the longest account's name
    return Login(account=owner, unknown=type_name)


def _splits(config: HubConfig, name: str) -> Iterator[tuple[Account, str]]:
    """Every account that a name may start with, the shortest first, and what follows it."""
    at = name.find("-")
    while at >= 0:
        account = config.accounts.get(name[:at])
        if account is not None and name[at + 1 :]:
            yield account, name[at + 1 :]
        at = name.find("-", at + 1)


def select(config: HubConfig, presented: Presented, is_good: FitsCertificate) -> Selected:
    """The account and machine type of a client; raises NotSelected.

    The first selector of the configuration's order that tells a type wins. The account is
    the login's, else the certificate's, else the network's, and it must have that type
    whoever told it. `is_good` tells whether a certificate whose name or fingerprint is a rule's
    is valid now, and issued by the rule's authority.
    """
    login = presented.login
    certificate = _certificate_rule(config, presented.certificate, is_good)
    network = _network_rule(config, presented.address)
    account = _account(config, login, certificate, network)
    if account is None:
        raise NotSelected("log in", needs_login=True)
    if login is not None and login.unknown:
        unknown = printable(login.unknown[:_SHOWN])
        raise NotSelected(f"{account.user} has no machine type or features {unknown!r}")
    told = {
        Selector.USER: login.machine if login else None,
        Selector.CERTIFICATE: config.types[certificate.type] if certificate else None,
        Selector.NETWORK: config.types[network.type] if network else None,
    }
    for by in config.order:
        machine = told[by]
        if machine is not None:
            if by is not Selector.USER and machine.name not in config.types_of(account):
                raise NotSelected(f"{account.user} has not the machine type {machine.name}")
            return Selected(account=account, machine=machine, by=by)
    raise NotSelected(_how(config, account))


def _account(
    config: HubConfig,
    login: Login | None,
    certificate: CertificateRule | None,
    network: NetworkRule | None,
) -> Account | None:
    if login is not None:
        return login.account
    named = (rule.account for rule in (certificate, network) if rule)
    return next((config.accounts[name] for name in named if name), None)


def _certificate_rule(
    config: HubConfig, shown: ShownCertificate | None, is_good: FitsCertificate
) -> CertificateRule | None:
    if shown is None:
        return None
    for rule in config.certificates:
        if rule.fingerprint and rule.fingerprint == shown.fingerprint and is_good(rule, shown):
            return rule
    if not shown.common_name.isprintable():
        return None  # `gpu1\n.example` is not what who wrote `gpu*.example` had in mind
    for rule in config.certificates:
        named = rule.authority and fnmatchcase(shown.common_name, rule.name)
        if named and is_good(rule, shown):
            return rule
    return None


def _network_rule(
    config: HubConfig, address: IPv4Address | IPv6Address | None
) -> NetworkRule | None:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped  # what a socket for both shows of an IPv4 client
    if address is None:
        return None
    found = [rule for rule in config.networks if address in rule.network]
    return max(found, key=lambda rule: rule.network.prefixlen, default=None)


def _how(config: HubConfig, account: Account) -> str:
    if Selector.USER not in config.order:
        return f"{account.user}: no rule tells this client's machine type"
    names = ", ".join(map(account.login_of, config.types_of(account)))
    return f"{account.user} alone tells no machine type, log in as one of: {names or 'none'}"
