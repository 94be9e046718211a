"""How many clients may wait to be accepted: more than mitmproxy asks for.

Who connects while a listener's queue is full is not heard for a second, then for two, then
for four; a fleet connects all at once.
"""

import os
import socket
from collections.abc import Iterator

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver


def deepen_backlogs(length: int) -> int:
    """Let so many clients wait at each TCP port of mitmproxy's; how many ports that are.

    The kernel bounds it (net.core.somaxconn). None where mitmproxy keeps its listeners
    elsewhere than we know: then they are as they were.
    """
    ports = 0
    for listener in _listeners():
        # asyncio hands out a look at its sockets only: `listen` wants one of our own.
        with socket.socket(fileno=os.dup(listener.fileno())) as own:
            own.listen(length)
        ports += 1
    return ports


def _listeners() -> Iterator[socket.socket]:
    proxyserver = ctx.master.addons.get("proxyserver")
    if not isinstance(proxyserver, Proxyserver):
        return
    for instance in proxyserver.servers:
        for server in getattr(instance, "_servers", ()):
            for one in getattr(server, "sockets", ()):
                if one.type == socket.SOCK_STREAM:
                    yield one
