"""With mitmproxy's own addon for listeners, on loopback."""

import socket
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from metahub_addon.listen_backlog import deepen_backlogs
from support.mitmdump import free_port

# asyncio's own is 100, to which the kernel adds one; it bounds all by its own maximum.
MOST = int(Path("/proc/sys/net/core/somaxconn").read_text())
ASYNCIO = 101


@pytest.mark.skipif(MOST <= ASYNCIO, reason=f"the kernel lets {MOST} wait at most")
async def test_each_port_of_mitmproxys() -> None:
    port, proxyserver = free_port(), Proxyserver()
    with taddons.context(proxyserver) as context, ExitStack() as clients:
        context.configure(proxyserver, listen_host="127.0.0.1", listen_port=port)
        assert await proxyserver.setup_servers()
        assert deepen_backlogs(1000) == 1
        for _ in range(min(200, MOST)):  # nobody accepts them: this very loop would have to
            connection = socket.create_connection(("127.0.0.1", port), 0.9)
            clients.enter_context(connection)
        context.configure(proxyserver, server=False)
        await proxyserver.setup_servers()


async def test_without_listeners() -> None:
    with taddons.context():
        assert deepen_backlogs(1000) == 0


UDP = SimpleNamespace(sockets=[SimpleNamespace(type=socket.SOCK_DGRAM)])


@pytest.mark.parametrize("kept", [[], [object()], [UDP]])
async def test_a_mitmproxy_that_keeps_them_elsewhere(kept: list[object]) -> None:
    elsewhere = Proxyserver()
    elsewhere.servers = [SimpleNamespace(_servers=kept), SimpleNamespace()]  # type: ignore[assignment]
    with taddons.context(elsewhere):
        assert deepen_backlogs(1000) == 0
