"""Tell systemd how the service is (sd_notify(3)): a datagram to the socket that it names."""

import socket


def notify(path: str, state: str) -> None:
    """Send a state such as `READY=1` or `WATCHDOG=1`; an empty path: nobody listens.

    Raises OSError where the socket is there no more.
    """
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.sendto(state.encode(), address)
