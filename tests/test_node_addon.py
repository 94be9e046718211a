"""The hooks by themselves; integration/test_node.py has them in a real proxy."""

import asyncio
import os
import resource
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mitmproxy import ctx, exceptions
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from metahub_addon import node_addon
from metahub_addon.firewall import Firewall
from metahub_addon.interception_addon import Interceptor
from metahub_addon.node_addon import Node
from metahub_addon.self_check import UnwellError
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


def no_signal(address: str, briefly: bool = False) -> None:
    """Nobody is there to hear it."""


# taddons wants a running event loop: so all of these are asynchronous.
@pytest.fixture
async def context(confdir: Path) -> AsyncIterator["taddons.context"]:
    """With the addon that owns metahub_registries, and mitmproxy's own for TLS."""
    tlsconfig = TlsConfig()
    with taddons.context(ProxyOptions(), tlsconfig, Interceptor(Counter(), no_signal)) as made:
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


@pytest.fixture
async def beaten(node: Node, context: "taddons.context") -> AsyncIterator[socket.socket]:
    """Where the node's beats to the firewall arrive."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.setblocking(False)
        registry = f"reg.test:{listener.getsockname()[1]}"
        context.configure(node, metahub_firewall_port=free_port(), metahub_registries=[registry])
        yield listener


def arrived(listener: socket.socket) -> int:
    """How many packets wait."""
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.recv(99)
            count += 1
    return count


@contextmanager
def files_left(left: int) -> Iterator[None]:
    """A limit on open files that leaves some more; below zero: not even one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as some:
        for _ in range(20):
            some.enter_context(socket.socket())
        in_use = len(os.listdir("/proc/self/fd")) - 1
        resource.setrlimit(resource.RLIMIT_NOFILE, (in_use + left, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("left", [2, -5])
async def test_who_has_no_files_left_does_not_beat_but_lives(
    node: Node,
    manager: socket.socket,
    beaten: socket.socket,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    left: int,
) -> None:
    """No pull comes to it any more, and those that run go on: it is not killed."""
    monkeypatch.setattr(node_addon, "_BEAT_SECONDS", 0.01)
    node.running()
    assert await heard(manager, 2) == ["READY=1", "WATCHDOG=1"]
    with files_left(left):
        await heard(manager, 12)  # more than can have waited from before
        assert arrived(beaten)
        assert await heard(manager, 3) == ["WATCHDOG=1"] * 3
        assert not arrived(beaten)
    assert "too many open files" in caplog.text
    await heard(manager, 12)
    assert arrived(beaten), "it is well again"


async def test_who_cannot_answer_by_tls_does_not_beat(
    node: Node, manager: socket.socket, beaten: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor is it ready: whoever starts the service is told."""
    ctx.master.addons.get("tlsconfig").certstore.default_privatekey = rsa.generate_private_key(
        65537, 2048
    )
    node.running()
    await asyncio.sleep(0)
    assert "the proxy can't answer by TLS, no pull comes to it" in caplog.text
    assert not arrived(manager)
    assert not arrived(beaten)


@dataclass
class Health:
    """Whether the proxy is well, and what it says while a test lets it beat."""

    node: Node
    is_well: bool = True
    said: list[str] = field(default_factory=list)

    def check(self) -> None:
        if not self.is_well:
            raise UnwellError("of a test")

    def hear(self, state: str) -> bool:
        self.said.append(state)
        return True

    async def beats(self, count: int) -> Counter[str]:
        """What is said with some beats."""
        self.said.clear()
        for _ in range(count):
            await asyncio.sleep(0)
        return Counter(self.said)


@pytest.fixture
async def health(node: Node, monkeypatch: pytest.MonkeyPatch) -> Health:
    """Each turn of the event loop is a beat, and each beat checks."""
    made = Health(node)
    monkeypatch.setattr(node_addon, "_BEAT_SECONDS", 0)
    monkeypatch.setattr(node_addon, "_BEATS_BETWEEN_CHECKS", 1)
    monkeypatch.setattr(node_addon, "check_handshake", made.check)
    monkeypatch.setattr(Node, "_notify", lambda _, state: made.hear(state))
    return made


async def test_who_becomes_unwell_lives_for_a_minute(health: Health, beaten: socket.socket) -> None:
    """Long enough for copies of layers to end, and to become well again."""
    health.node.running()
    assert await health.beats(5) == {"READY=1": 1, "WATCHDOG=1": 5}
    assert arrived(beaten) == 5
    health.is_well = False
    assert await health.beats(59) == {"WATCHDOG=1": 59}
    assert await health.beats(20) == {}
    assert not arrived(beaten)
    health.is_well = True
    assert await health.beats(3) == {"WATCHDOG=1": 3}
    assert arrived(beaten) == 3
    health.is_well = False
    assert await health.beats(59) == {"WATCHDOG=1": 59}, "each time anew"


async def test_who_was_never_well_is_not_ready_nor_said_to_live(health: Health) -> None:
    """So that the service manager's time for the start counts."""
    health.is_well = False
    health.node.running()
    assert await health.beats(80) == {}
    health.is_well = True
    assert await health.beats(2) == {"READY=1": 1, "WATCHDOG=1": 2}


async def test_a_manager_that_does_not_hear_that_it_is_ready_is_told_again(
    health: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear, deaf = health.hear, [True, True]

    def hear_late(_: Node, state: str) -> bool:
        return hear(state) and not (deaf and deaf.pop())

    monkeypatch.setattr(Node, "_notify", hear_late)
    health.node.running()
    assert await health.beats(4) == {"READY=1": 3, "WATCHDOG=1": 2}


async def test_an_address_is_let_past_for_long_or_briefly_where_rules_hear(
    node: Node, context: "taddons.context", monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, bool]] = []
    context.configure(node, metahub_firewall_port=free_port())
    monkeypatch.setattr(Firewall, "let_past", lambda _, *given: asked.append(given))
    for heard_by_rules in (False, True):
        monkeypatch.setattr(node, "_heard", heard_by_rules)
        node.let_past("192.0.2.1")
        node.let_past("192.0.2.2", briefly=True)
    assert asked == [("192.0.2.1", False), ("192.0.2.2", True)]


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
