"""Where the page listens: `host:port`, `[address]:port` or `:port`."""

import re
from dataclasses import dataclass

_PORTS = range(1, 65536)
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*|")
_IPV6 = re.compile(r"[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?")


class InvalidListen(ValueError):
    """A text that names no address and port."""


@dataclass(frozen=True, slots=True)
class Listen:
    """A host's name or address (empty: all of this host's) and a port."""

    host: str
    port: int


def parse_listen(text: str) -> Listen:
    """Read where to listen; raises InvalidListen."""
    host, colon, port = text.strip().rpartition(":")
    if not colon or not (port.isascii() and port.isdecimal()) or int(port) not in _PORTS:
        raise InvalidListen(f"{text!r} is not host:port")
    bracketed = host.startswith("[") and host.endswith("]")
    if ":" in host and not bracketed:
        raise InvalidListen(f"{text!r}: an IPv6 address stands in brackets, [::1]:9090")
    host = host[1:-1] if bracketed else host
    if not (_IPV6 if bracketed else _NAME).fullmatch(host):
        raise InvalidListen(f"{text!r}: {host!r} is no host")
    return Listen(host, int(port))
