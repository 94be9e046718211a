"""Signals to the node's firewall: packets that its rules take note of and drop.

The rules (scripts/nftables) know the sender by its group and source port. So the proxy
needs no privilege to say that it lives, and a proxy that is dead, stopped or stuck says
nothing, whereupon the kernel sends connections to it no more.
"""

import socket
from contextlib import suppress
from ipaddress import ip_address

_LOOPBACK = "127.0.0.1"
# The rules tell by the port for how long; they drop the packet.
_FOR_LONG, _BRIEFLY = 9, 10


class Firewall:
    """The sender of signals, from a UDP port.

    Raises OSError if the port is taken, OverflowError if it is none.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self._sockets: dict[int, socket.socket] = {}
        try:
            for family in (socket.AF_INET, socket.AF_INET6):
                self._open(family, port)
        except (OSError, OverflowError):
            self.close()
            raise

    def _open(self, family: socket.AddressFamily, port: int) -> None:
        try:
            sender = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:
            if family == socket.AF_INET6:
                return  # a kernel without IPv6 has no such clients either
            raise
        self._sockets[family] = sender
        if family == socket.AF_INET6:
            sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sender.bind(("", port))  # of any address: it sends to loopback and to others

    def close(self) -> None:
        """Close the sockets."""
        for sender in self._sockets.values():
            sender.close()
        self._sockets.clear()

    def beat(self, port: int) -> bool:
        """Ask that connections to a registry's port be redirected for some seconds more.

        False if no rule has taken note, so that none redirects either.
        """
        return self._send(_LOOPBACK, port)

    def let_past(self, address: str, briefly: bool = False) -> bool:
        """Ask that connections to an address be left alone for ten minutes, or one.

        False if no rule has taken note (the packet, without content, may have left).
        """
        return self._send(address, _BRIEFLY if briefly else _FOR_LONG)

    def _send(self, address: str, port: int) -> bool:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        sender = self._sockets.get(family)
        if sender is None:
            return False
        try:
            # A host without a route or a receiver's refusal is no answer of the rules.
            with suppress(ConnectionRefusedError):
                sender.sendto(b"", (address, port))
        except PermissionError:
            return True  # how a rule that drops a packet shows
        except OSError:
            return False
        return False
