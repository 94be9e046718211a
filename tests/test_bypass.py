import asyncio
from dataclasses import dataclass, field, replace

import pytest

from metahub_addon.bypass import Bypass, Client, Offer, Part, Way
from metahub_addon.interception import Endpoint
from support.descriptors import digest
from support.fake_timer import FakeTimer

DOCKER = Client("127.0.0.1", "docker")
REGISTRY = Endpoint("reg.test", 443)
OTHER = Endpoint("other.test", 443)


@dataclass
class Asked:
    """A way's answer, how often it was asked for, a gate that holds it back, and its use."""

    answer: bool | None = True
    error: Exception | None = None
    gate: asyncio.Event | None = None
    count: int = 0
    used: bool = False

    async def __call__(self) -> bool | None:
        self.count += 1
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        return self.answer

    def is_in_use(self) -> bool:
        return self.used


@dataclass
class Node:
    """A bypass and its time; layers are named by numbers."""

    timer: FakeTimer = field(default_factory=FakeTimer)
    past: Asked = field(default_factory=Asked)
    relay: Asked = field(default_factory=Asked)

    def __post_init__(self) -> None:
        self.bypass = Bypass(self.timer)

    async def get(
        self, layer: int, client: Client = DOCKER, registry: Endpoint = REGISTRY, part: str = ""
    ) -> Way:
        asked = ((Way.PAST, self.past), (Way.RELAY, self.relay))
        offers = [Offer(way, each, each.is_in_use) for way, each in asked]
        return await self.bypass.choose(client, registry, Part(digest(layer), part), offers)

    async def come_back(self, *layers: int, client: Client = DOCKER) -> list[Way]:
        """Ask for each layer twice: the ways of the first requests."""
        ways = []
        for layer in layers:
            ways.append(await self.get(layer, client))
            assert await self.get(layer, client) is Way.BACK
        return ways


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
        assert await bypass.choose(DOCKER, REGISTRY, Part(digest(1)), []) is Way.THROUGH


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


async def test_who_comes_back_gets_that_layer_through_and_no_other(node: Node) -> None:
    """Two of them may be those of another pull of the same image."""
    assert await node.come_back(1, 2) == [Way.PAST] * 2
    assert await node.get(3) is Way.PAST
    assert await node.get(1) is Way.PAST, "the third request is a first again"


async def test_who_comes_back_for_three_layers_gets_the_next_another_way(node: Node) -> None:
    assert await node.come_back(1, 2, 3) == [Way.PAST] * 3
    assert await node.come_back(4, 5, 6) == [Way.RELAY] * 3
    assert await node.get(7) is Way.THROUGH
    assert await node.get(1) is Way.THROUGH


async def test_layers_that_were_asked_for_at_once_come_back_at_once(node: Node) -> None:
    """As dockerd's do, which pulls three at a time."""
    assert [await node.get(layer) for layer in (1, 2, 3)] == [Way.PAST] * 3
    node.timer.wait(5)
    assert [await node.get(layer) for layer in (1, 2, 3)] == [Way.BACK] * 3
    assert await node.get(4) is Way.RELAY


async def test_one_layer_that_returns_for_ever_is_one_return(node: Node) -> None:
    assert await node.come_back(1, 1, 1, 1, 1) == [Way.PAST] * 5
    assert await node.get(2) is Way.PAST


async def test_other_parts_of_a_layer_are_no_returns(node: Node) -> None:
    """containerd asks for several parts of one layer at once."""
    for at in range(8):
        assert await node.get(1, part=f"bytes={at}-{at}") is Way.PAST
    assert await node.get(1) is Way.PAST
    for at in range(8):
        assert await node.get(1, part=f"bytes={at}-{at}") is Way.BACK
    assert await node.get(2) is Way.PAST, "the parts of one layer are one return"


async def test_while_a_way_is_seen_to_be_used_another_pull_is_no_return(node: Node) -> None:
    """Two pulls of one image at once: both go the fast way, and so do all later ones."""
    for layer in range(5):
        assert await node.get(layer) is Way.PAST
    node.past.used = True
    for layer in range(5):
        assert await node.get(layer) is Way.PAST
    node.past.used = False
    assert await node.come_back(5, 6) == [Way.PAST] * 2, "nothing was counted"
    assert await node.get(7) is Way.PAST


async def test_the_use_of_one_way_says_nothing_of_another(node: Node) -> None:
    node.past.used = True
    node.past.answer = False
    assert await node.come_back(1, 2, 3) == [Way.RELAY] * 3
    assert await node.get(4) is Way.THROUGH


async def test_the_use_of_a_way_that_is_not_offered_any_more_is_not_asked_for(node: Node) -> None:
    node.past.used = True
    await node.get(1)
    assert await node.bypass.choose(DOCKER, REGISTRY, Part(digest(1)), []) is Way.BACK


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
    await node.come_back(1, 2)
    await node.get(3)
    assert await node.get(3, client, registry) is Way.PAST, "another's request is no return"
    assert await node.get(3) is Way.BACK
    assert await node.get(4) is Way.RELAY
    assert await node.get(4, client, registry) is Way.PAST


async def test_a_refused_way_is_offered_again_after_ten_minutes(node: Node) -> None:
    await node.come_back(1, 2, 3)
    node.timer.wait(599)
    assert await node.get(4) is Way.RELAY
    node.timer.wait(2)
    assert await node.come_back(5, 6) == [Way.PAST] * 2, "it may fail anew"
    assert await node.come_back(7) == [Way.PAST]
    assert await node.get(8) is Way.RELAY


async def test_silence_is_no_proof(node: Node) -> None:
    """A client that is never heard of again may as well have given up."""
    assert await node.get(1) is Way.PAST
    node.timer.wait(3600)
    assert await node.come_back(1, 2, 3) == [Way.PAST] * 3
    assert await node.get(4) is Way.RELAY


async def test_returns_that_are_far_apart_are_forgotten(node: Node) -> None:
    for layer in range(6):
        assert await node.come_back(layer) == [Way.PAST]
        node.timer.wait(61)
    assert await node.get(7) is Way.PAST


@pytest.mark.parametrize(("seconds", "way"), [(59, Way.BACK), (61, Way.PAST)])
async def test_a_later_pull_of_the_same_layer_is_no_return(
    node: Node, seconds: float, way: Way
) -> None:
    await node.get(1)
    node.timer.wait(seconds)
    assert await node.get(1) is way
