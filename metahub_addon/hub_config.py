"""What a hub knows: machine types, who may log in as which, and the registries behind it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from types import MappingProxyType

from metahub_addon.machine import MachineType
from metahub_addon.oci_platform import Platform
from metahub_addon.upstream import Registry


class ReadOnly(Exception):
    """Machine types that can't be changed; the message says why."""


class Selector(StrEnum):
    """By what a client's machine type is told."""

    USER = "user"
    NETWORK = "network"
    CERTIFICATE = "certificate"


DEFAULT_PLATFORM = Platform("linux", "amd64")
DEFAULT_ORDER = (Selector.USER, Selector.CERTIFICATE, Selector.NETWORK)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who logs in. `password` is a bcrypt hash.

    `types` names the machine types that it may be (`<user>-<type>`), `own_type` the one
    that its bare name stands for (empty: none). `pull` and `push` are patterns of
    repositories, as clients name them at the hub; `*` matches any text. `features` allows
    `<user>/cpu#zen2`; an administrator may change machine types.
    """

    user: str
    password: str = field(repr=False)
    types: tuple[str, ...] = ()
    own_type: str = ""
    pull: tuple[str, ...] = ("*",)
    push: tuple[str, ...] = ()
    features: bool = True
    administrator: bool = False

    def login_of(self, type_name: str) -> str:
        """What to log in as to be a machine type: the bare name where that stands for it."""
        return self.user if type_name == self.own_type else f"{self.user}-{type_name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRule:
    """The machine type of the clients in a network; the longest prefix wins.

    With an `account`, clients without a login act as that account.
    """

    network: IPv4Network | IPv6Network
    type: str
    account: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRule:
    """The machine type of who shows a client certificate: a certain one, or an authority's.

    A fingerprint goes before authorities; of these, the first in the file that fits counts.
    `fingerprint` is the SHA-256 of the certificate, in lower-case hex without colons;
    `authority` the path of a file of certificates, with a pattern for the common `name`.
    """

    type: str
    account: str = ""
    fingerprint: str = ""
    authority: str = ""
    name: str = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRule:
    """A registry behind the hub, and what tells that a request is for it.

    `prefix` is how a repository's name starts at the hub (`docker.io` for
    `docker.io/library/nginx`), `hosts` are the hub's own names. With neither, it is where
    all else goes: the one of mitmdump's reverse mode, unless a rule says another. One of
    `username` with `password_file`, and `docker_config`, or none (anonymous).
    """

    name: str
    registry: Registry
    prefix: str = ""
    hosts: tuple[str, ...] = ()
    username: str = ""
    password_file: str = ""
    docker_config: str = ""

    @property
    def start(self) -> str:
        """How all its repositories' names start at the hub, whatever the Host; empty: as none.

        Allow lists are held against these names.
        """
        return self.prefix or (self.name if self.hosts else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubConfig:
    """All of a hub's file; what it names exists, and nothing in it is ambiguous.

    `platform` is that of machines whose login names features instead of a type.
    """

    types: Mapping[str, MachineType]
    accounts: Mapping[str, Account]
    networks: tuple[NetworkRule, ...] = ()
    certificates: tuple[CertificateRule, ...] = ()
    order: Sequence[Selector] = DEFAULT_ORDER
    upstreams: tuple[UpstreamRule, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    secret_file: str = ""
    platform: Platform = DEFAULT_PLATFORM

    def types_of(self, account: Account) -> Mapping[str, MachineType]:
        """The machine types that an account may be, by name."""
        named = dict.fromkeys((*account.types, account.own_type))
        # An account of the file before may name what this one has no longer.
        return MappingProxyType({name: self.types[name] for name in named if name in self.types})
