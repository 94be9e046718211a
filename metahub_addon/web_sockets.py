"""Open the ports that the page listens at."""

import errno
import socket

from metahub_addon.web_listen import Listen

_BACKLOG = 128
# A host that has only one of IPv4 and IPv6.
_NOT_HERE = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def open_sockets(listen: Listen) -> list[socket.socket]:
    """A listening socket for each address of a name that this host has.

    Raises OSError if there is none, or if the port is taken at one of them; then none is
    left open.
    """
    opened: list[socket.socket] = []
    failure: OSError | None = None
    try:
        for family, address in _addresses(listen):
            try:
                opened.append(_open(family, address))
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                failure = error
        if not opened:
            raise failure or OSError(errno.EADDRNOTAVAIL, "no address")
    except OSError:
        for one in opened:
            one.close()
        raise
    return opened


def _addresses(listen: Listen) -> list[tuple[socket.AddressFamily, tuple[str, int]]]:
    found = socket.getaddrinfo(
        listen.host or None, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    named = ((family, (str(address[0]), listen.port)) for family, _, _, _, address in found)
    return list(dict.fromkeys(named))


def _open(family: socket.AddressFamily, address: tuple[str, int]) -> socket.socket:
    opened = socket.create_server(address, family=family, backlog=_BACKLOG)
    opened.setblocking(False)
    return opened
