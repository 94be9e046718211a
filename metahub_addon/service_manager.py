"""Tell systemd how the service is (sd_notify(3)): datagrams to the socket that it names."""

import socket


class ServiceManager:
    """The one way to say it, opened once: a process out of files can still say that it lives.

    `path` is what NOTIFY_SOCKET says; empty: nobody listens.
    """

    def __init__(self, path: str) -> None:
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._sender: socket.socket | None = None
        if path:
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
            self._sender = socket.socket(socket.AF_UNIX, kind)

    def say(self, state: str) -> None:
        """Send a state such as `READY=1` or `WATCHDOG=1`.

        Raises OSError where nobody reads any longer.
        """
        if self._sender is not None:
            self._sender.sendto(state.encode(), self._address)

    def close(self) -> None:
        """Say no more."""
        if self._sender is not None:
            self._sender.close()
            self._sender = None
