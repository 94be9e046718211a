"""Which registries are intercepted, and the ports on which their layers go past the proxy."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

HTTPS_PORT = 443
_HOST = re.compile(r"[a-z0-9*?]([a-z0-9.*?_-]{0,252}[a-z0-9*?])?|\[[0-9a-f:.]+\]")

_PORT = re.compile(r"[0-9]{1,5}")


class InvalidRegistry(ValueError):
    """A pattern that names no registry; the message quotes it."""


@dataclass(frozen=True, slots=True)
class RegistryPattern:
    """A registry's host, with shell wildcards, and its port; None: any port.

    An IPv6 address stands without its brackets.
    """

    host: str
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> "RegistryPattern":
        """Read `host[:port]`; an IPv6 address is in brackets. Raises InvalidRegistry."""
        host, colon, port = text.strip().lower().rpartition(":")
        if not colon or port.endswith("]"):
            host, colon, port = text.strip().lower(), "", ""
        if not _HOST.fullmatch(host):
            raise InvalidRegistry(f"{text!r}: is not host[:port]")
        if colon and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
            raise InvalidRegistry(f"{text!r}: {port!r} is not a port")
        return cls(host.strip("[]"), int(port) if colon else None)

    @property
    def is_wildcard(self) -> bool:
        """True if it may name more than one host."""
        return "*" in self.host or "?" in self.host

    def matches(self, host: str, port: int) -> bool:
        """True for a registry that the pattern names; letter case does not matter."""
        named = fnmatchcase(host.lower().rstrip("."), self.host)
        return named and self.port in (None, port)


@dataclass(frozen=True, slots=True)
class Registries:
    """The registries to intercept; without a pattern: all."""

    patterns: tuple[RegistryPattern, ...] = ()

    def include(self, host: str, port: int) -> bool:
        """True if connections to a host and port are to be intercepted."""
        return not self.patterns or self.name(host, port)

    def name(self, host: str, port: int) -> bool:
        """True if a pattern matches."""
        return any(pattern.matches(host, port) for pattern in self.patterns)

    def name_one(self, host: str, port: int) -> bool:
        """True if a pattern without wildcards matches."""
        return any(p.matches(host, port) for p in self.patterns if not p.is_wildcard)

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports that registries use: 443, then the others that patterns name, ascending."""
        named = {pattern.port for pattern in self.patterns if pattern.port}
        return HTTPS_PORT, *sorted(named - {HTTPS_PORT})


def parse_registries(texts: Iterable[str]) -> Registries:
    """Read patterns, each once; raises InvalidRegistry."""
    return Registries(tuple(dict.fromkeys(RegistryPattern.parse(text) for text in texts)))


def layers_ports(base: int, ports: Sequence[int]) -> dict[int, int]:
    """For each port of registries the one on which the firewall lets layers past; 0: none.

    The first has `base`, the next the one behind it, and so on: whoever writes the
    firewall's rules counts the same way. Raises InvalidRegistry where they do not fit.
    """
    if not base:
        return {}
    taken = range(base, base + len(ports))
    if base < 1 or taken[-1] > 65535 or set(taken) & set(ports):
        raise InvalidRegistry(f"layers ports {base} to {taken[-1]}: no ports, or a registry's own")
    return dict(zip(ports, taken, strict=True))
