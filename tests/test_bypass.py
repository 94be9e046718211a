import asyncio
from dataclasses import dataclass, field, replace

import pytest

from metahub_addon.bypass import Bypass, Client, Offer, Way
from metahub_addon.interception import Endpoint
from support.descriptors import digest
from support.fake_timer import FakeTimer

DOCKER = Client("127.0.0.1", "docker")
REGISTRY = Endpoint("reg.test", 443)
OTHER = Endpoint("other.test", 443)


@dataclass
class Asked:
    """A way's answer, how often it was asked for, and a gate that holds it back."""

    answer: bool | None = True
    error: Exception | None = None
    gate: asyncio.Event | None = None
    count: int = 0

    async def __call__(self) -> bool | None:
        self.count += 1
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return self.answer


@dataclass
class Node:
    """A bypass and its time; layers are named by numbers."""

    timer: FakeTimer = field(default_factory=FakeTimer)
    past: Asked = field(default_factory=Asked)
    relay: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        self.bypass = Bypass(self.timer)

    async def get(self, layer: int, client: Client = DOCKER, registry: Endpoint = REGISTRY) -> Way:
        offers = [Offer(Way.PAST, self.past), Offer(Way.RELAY, self.relay)]
        return await self.bypass.choose(client, registry, digest(layer), offers)


@pytest.fixture
def node() -> Node:
    return Node()


@pytest.mark.parametrize(
    ("past", "relay", "way"),
    [
        (True, True, Way.PAST),
        (True, False, Way.PAST),
        (False, True, Way.RELAY),
        (None, True, Way.RELAY),
        (False, False, Way.THROUGH),
        (None, None, Way.THROUGH),
    ],
)
async def test_the_first_open_way_is_taken(past: bool | None, relay: bool | None, way: Way) -> None:
    node = Node(past=Asked(past), relay=Asked(relay))
    assert await node.get(1) is way
    assert node.relay.count == (past is not True)


async def test_without_an_offer_a_layer_goes_through_and_may_be_asked_for_again() -> None:
    bypass = Bypass(FakeTimer())
    for _ in range(2):
        assert await bypass.choose(DOCKER, REGISTRY, digest(1), []) is Way.THROUGH


@pytest.mark.parametrize("answer", [True, False])
async def test_an_answer_counts_for_five_minutes(node: Node, answer: bool) -> None:
    node.past.answer = answer
    for layer in range(3):
        await node.get(layer)
    assert node.past.count == 1
    await node.get(3, registry=OTHER)
    assert node.past.count == 2, "another registry, another question"
    node.timer.wait(301)
    node.past.answer = not answer
    assert (await node.get(4) is Way.PAST) is not answer
    assert node.past.count == 3


@pytest.mark.parametrize("early", range(8))
async def test_an_answer_may_expire_amid_a_question(node: Node, early: int) -> None:
    await node.get(1)
    node.timer.wait(300 - early)
    node.timer.look = 1
    assert await node.get(2) is Way.PAST


async def test_what_could_not_be_learned_is_asked_again(node: Node) -> None:
    node.past.answer = None
    assert await node.get(1) is Way.RELAY
    node.past.answer = True
    assert await node.get(2) is Way.PAST
    assert node.past.count == 2


async def test_those_who_ask_at_once_share_one_question(node: Node) -> None:
    node.past.gate = asyncio.Event()
    waiting = [asyncio.create_task(node.get(layer)) for layer in range(8)]
    await asyncio.sleep(0)
    node.past.gate.set()
    assert await asyncio.gather(*waiting) == [Way.PAST] * 8
    assert node.past.count == 1


async def test_a_client_that_gives_up_does_not_take_the_answer_from_others(node: Node) -> None:
    node.past.gate = asyncio.Event()
    first, second = (asyncio.create_task(node.get(layer)) for layer in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    node.past.gate.set()
    assert first.cancelled()
    assert await second is Way.PAST
    assert await node.get(1) is Way.PAST, "who gave up was sent nowhere"
    assert node.past.count == 1


async def test_an_answer_counts_though_nobody_waits_for_it(node: Node) -> None:
    node.past.gate = asyncio.Event()
    only = asyncio.create_task(node.get(1))
    await asyncio.sleep(0)
    only.cancel()
    await asyncio.wait([only])
    node.past.gate.set()
    await asyncio.sleep(0.01)
    assert await node.get(2) is Way.PAST
    assert node.past.count == 1


async def test_a_fault_reaches_all_who_wait_and_is_not_kept(node: Node) -> None:
    node.past.gate, node.past.error = asyncio.Event(), ZeroDivisionError()
    waiting = [asyncio.create_task(node.get(layer)) for layer in (1, 2)]
    await asyncio.sleep(0)
    node.past.gate.set()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in found] == [ZeroDivisionError] * 2
    node.past.error = None
    assert await node.get(1) is Way.PAST


async def test_a_question_that_the_loop_cancels_is_asked_again(node: Node) -> None:
    node.past.gate = asyncio.Event()
    waiting = asyncio.create_task(node.get(1))
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task(), waiting}:
        task.cancel()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    node.past.gate = None
    assert await node.get(1) is Way.PAST


async def test_who_comes_back_at_once_gets_the_layer_through_and_the_next_another_way(
    node: Node,
) -> None:
    assert await node.get(1) is Way.PAST
    node.timer.wait(9)
    assert await node.get(1) is Way.BACK
    assert await node.get(2) is Way.RELAY
    assert await node.get(2) is Way.BACK
    assert await node.get(3) is Way.THROUGH
    assert await node.get(1) is Way.THROUGH


@pytest.mark.parametrize(
    ("client", "registry"),
    [
        (replace(DOCKER, product="containerd"), REGISTRY),
        (replace(DOCKER, address="::1"), REGISTRY),
        (DOCKER, OTHER),
        (DOCKER, Endpoint("reg.test", 5000)),
    ],
)
async def test_a_refusal_is_that_clients_for_that_registry(
    node: Node, client: Client, registry: Endpoint
) -> None:
    await node.get(1)
    assert await node.get(1, client, registry) is Way.PAST, "another's request is no return"
    assert await node.get(1) is Way.BACK
    assert await node.get(2) is Way.RELAY
    assert await node.get(2, client, registry) is Way.PAST


async def test_a_refused_way_is_offered_again_after_ten_minutes(node: Node) -> None:
    await node.get(1)
    await node.get(1)
    node.timer.wait(599)
    assert await node.get(2) is Way.RELAY
    node.timer.wait(2)
    assert await node.get(3) is Way.PAST
    node.timer.wait(9)
    assert await node.get(3) is Way.BACK, "it must prove itself anew"
    assert await node.get(4) is Way.RELAY


async def test_who_has_proven_a_way_is_not_refused_it(node: Node) -> None:
    await node.get(1)
    node.timer.wait(10)
    assert await node.get(2) is Way.PAST
    assert await node.get(2) is Way.BACK, "it comes through all the same"
    assert await node.get(3) is Way.PAST
    assert await node.get(2) is Way.PAST


async def test_the_return_from_the_first_layer_after_its_proof_is_forgiven(node: Node) -> None:
    """A pause longer than dockerd's first is a line that went down, or a second pull."""
    await node.get(1)
    node.timer.wait(11)
    assert await node.get(1) is Way.BACK
    assert await node.get(1) is Way.PAST


async def test_a_later_pull_of_the_same_layer_is_no_return(node: Node) -> None:
    await node.get(1)
    node.timer.wait(59)
    assert await node.get(1) is Way.BACK
    await node.get(1)
    node.timer.wait(61)
    assert await node.get(1) is Way.PAST


async def test_a_proof_is_good_for_a_day(node: Node) -> None:
    await node.get(1)
    node.timer.wait(24 * 3600 - 5)
    assert await node.get(2) is Way.PAST
    assert await node.get(2) is Way.BACK
    assert await node.get(3) is Way.PAST
    node.timer.wait(24 * 3600)
    await node.get(4)
    assert await node.get(4) is Way.BACK
    assert await node.get(5) is Way.RELAY


async def test_a_return_whose_beginning_was_forgotten_counts_as_the_first(node: Node) -> None:
    """The proof ends between the redirect and the return."""
    await node.get(1)
    node.timer.wait(24 * 3600 - 1)
    await node.get(2)
    node.timer.wait(2)
    assert await node.get(2) is Way.BACK
    assert await node.get(3) is Way.RELAY
