"""The hooks by themselves; integration/test_node.py has them in a real proxy."""

import asyncio
import os
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mitmproxy import ctx, exceptions
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from metahub_addon.interception_addon import Interceptor
from metahub_addon.node_addon import Node
from support.flows import ProxyOptions
from support.mitmdump import free_port


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", listener.getsockname())
        yield listener


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the CA."""
    return tmp_path_factory.mktemp("confdir")


# taddons wants a running event loop: so all of these are asynchronous.
@pytest.fixture
async def context(confdir: Path) -> AsyncIterator["taddons.context"]:
    """With the addon that owns metahub_registries, and mitmproxy's own for TLS."""
    tlsconfig = TlsConfig()
    with taddons.context(ProxyOptions(), tlsconfig, Interceptor(Counter(), print)) as made:
        made.configure(tlsconfig, confdir=str(confdir))
        yield made


@pytest.fixture
async def node(context: "taddons.context", manager: socket.socket) -> AsyncIterator[Node]:
    made = Node()
    context.master.addons.add(made)
    yield made
    made.done()


async def heard(manager: socket.socket, states: int) -> list[str]:
    """The next states, in their order; waits for them."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(20):
        return [(await loop.sock_recv(manager, 99)).decode() for _ in range(states)]


async def test_ready_then_beats_then_stopping(node: Node, manager: socket.socket) -> None:
    node.running()
    assert await heard(manager, 3) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1"]
    node.done()
    assert (await heard(manager, 1)) == ["STOPPING=1"]


async def test_an_addon_that_never_ran_says_nothing(node: Node, manager: socket.socket) -> None:
    node.done()
    with pytest.raises(BlockingIOError):
        manager.recv(99)


async def test_a_manager_that_is_gone_is_no_fault(
    node: Node, manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    os.unlink(manager.getsockname())
    node.running()
    await asyncio.sleep(0)
    assert "systemd's NOTIFY_SOCKET: No such file" in caplog.text


async def test_who_has_no_files_left_does_not_beat(
    node: Node, manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + 2, hard))
    try:
        node.running()
        await asyncio.sleep(0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "too many open files" in caplog.text
    with pytest.raises(BlockingIOError):
        manager.recv(99)
    assert await heard(manager, 2) == ["READY=1", "WATCHDOG=1"], "it is well again"


async def test_who_cannot_answer_by_tls_does_not_beat(
    node: Node, manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is it ready: whoever starts the service is told."""
    ctx.master.addons.get("tlsconfig").certstore.default_privatekey = rsa.generate_private_key(
        65537, 2048
    )
    node.running()
    await asyncio.sleep(0)
    assert "the proxy can't answer by TLS, no pull comes to it" in caplog.text
    with pytest.raises(BlockingIOError):
        manager.recv(99)


async def test_a_taken_port_is_named_and_the_old_one_stays(
    node: Node, context: "taddons.context"
) -> None:
    port = free_port()
    context.configure(node, metahub_firewall_port=port)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        taken = other.getsockname()[1]
        with pytest.raises(exceptions.OptionsError, match=f"metahub_firewall_port: {taken}: "):
            context.configure(node, metahub_firewall_port=taken)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        pytest.raises(OSError, match="in use"),
    ):
        other.bind(("127.0.0.1", port))


@pytest.mark.parametrize("port", [-1, 65536])
async def test_what_is_no_port_is_named(node: Node, context: "taddons.context", port: int) -> None:
    with pytest.raises(exceptions.OptionsError, match=f"metahub_firewall_port: {port}: "):
        context.configure(node, metahub_firewall_port=port)


async def test_each_port_of_registries_gets_a_beat(
    node: Node, context: "taddons.context", caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing hears it here: so hosts of layers are not signalled either."""
    with ExitStack() as open_sockets:
        listeners = [
            open_sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for _ in range(2)
        ]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
            listener.setblocking(False)
        registries = [f"reg.test:{listener.getsockname()[1]}" for listener in listeners]
        source = free_port()
        context.configure(node, metahub_firewall_port=source, metahub_registries=registries)
        node.running()
        await asyncio.sleep(0)
        for listener in listeners:
            assert listener.recvfrom(9) == (b"", ("127.0.0.1", source))
        node.let_past("127.0.0.1")
    assert "no firewall rule hears the proxy" in caplog.text


async def test_the_port_is_free_when_the_option_is_off(
    node: Node, context: "taddons.context"
) -> None:
    port = free_port()
    context.configure(node, metahub_firewall_port=port)
    context.configure(node, metahub_firewall_port=0)
    for family in (socket.AF_INET, socket.AF_INET6):
        with socket.socket(family, socket.SOCK_DGRAM) as free:
            free.bind(("", port))


async def test_a_wrong_registry_is_anothers_to_report(
    node: Node, context: "taddons.context"
) -> None:
    with pytest.raises(exceptions.OptionsError, match="metahub_registries: 'x:y'"):
        context.configure(node, metahub_registries=["x:y"])
