"""What the kernel's table of TCP connections (proc(5), /proc/net/tcp) says of this host's."""

import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

_ESTABLISHED = 1


@dataclass(frozen=True, slots=True)
class Connection:
    """One end of a connection that is on this host; `owner` is the user's number."""

    local: tuple[str, int]
    remote: tuple[str, int]
    is_established: bool
    owner: int


def parse_table(lines: Iterable[str]) -> list[Connection]:
    """Read the lines of /proc/net/tcp or tcp6; what is no connection is left out."""
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) > 7 and fields[0].endswith(":"):
            local, remote = _endpoint(fields[1]), _endpoint(fields[2])
            state, owner = int(fields[3], 16), int(fields[7])
            found.append(Connection(local, remote, state == _ESTABLISHED, owner))
    return found


def owner_of(connections: Iterable[Connection], local: tuple[str, int]) -> int | None:
    """The user whose end of a connection has an address and port; None: not of this host."""
    address = (_plain(local[0]), local[1])
    return next((each.owner for each in connections if each.local == address), None)


def is_connected(connections: Iterable[Connection], port: int) -> bool:
    """True if somebody on this host is connected to a port, of whatever host."""
    return any(each.is_established and each.remote[1] == port for each in connections)


def _endpoint(text: str) -> tuple[str, int]:
    """`0202000A:01BB`: each 32 bits of the address in the host's byte order."""
    address, _, port = text.partition(":")
    packed = bytes.fromhex(address)
    if sys.byteorder == "little":
        words = (packed[at : at + 4] for at in range(0, len(packed), 4))
        packed = b"".join(word[::-1] for word in words)
    family = socket.AF_INET6 if len(packed) == 16 else socket.AF_INET
    return _plain(socket.inet_ntop(family, packed)), int(port, 16)


def _plain(address: str) -> str:
    """An IPv4 address also where it is written as IPv6."""
    parsed = ip_address(address.partition("%")[0])
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
