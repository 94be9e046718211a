import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from metahub_addon.digest import digest_of
from metahub_addon.hub_registry import Asked, HubRegistry, Served
from metahub_addon.index import InvalidIndex
from metahub_addon.machine import MachineType, Otherwise
from metahub_addon.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX
from metahub_addon.registry import ManifestRequest
from metahub_addon.upstream import FetchError, Upstream
from support.descriptors import digest, machine
from support.fake_registry_client import REPOSITORY, SECRETS, FakeAnswer, FakeRegistryClient
from support.fake_timer import FakeTimer

ZEN3 = machine("cpu:zen3", name="zen3")
ZEN2 = machine("cpu:zen2", name="zen2")
OLD = machine("cpu:core2", name="old")
SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"
DENIED = FakeAnswer(status=401, headers=SECRETS, body=b"the hub's login is puller")


@dataclass
class Fleet:
    """A hub's registry, and the registry behind it as the hub's client shows it."""

    client: FakeRegistryClient = field(default_factory=FakeRegistryClient)
    timer: FakeTimer = field(default_factory=FakeTimer)
    seconds: float = 5

    def __post_init__(self) -> None:
        upstream = Upstream(self.client, 10_000_000, 5)
        self.hub = HubRegistry(self.client, upstream, self.seconds, self.timer)

    async def ask(
        self,
        reference: str = "latest",
        machine: MachineType | None = ZEN3,
        method: str = "GET",
        accept: Sequence[str] = (),
        if_none_match: str = "",
    ) -> Served:
        asked = Asked(
            repository=REPOSITORY,
            request=ManifestRequest(method, REPOSITORY.name, reference),
            machine=machine,
            accept=accept,
            if_none_match=if_none_match,
        )
        served = await self.hub.manifest(asked)
        folded = {name.lower() for name in served.answer.headers}
        assert not folded & set(SECRETS)
        assert b"puller" not in served.answer.body
        return served

    def asked(self) -> list[str]:
        """What the registry was asked since the last look."""
        asked = list(self.client.asked)
        self.client.asked.clear()
        return asked

    def count(self, what: str) -> int:
        return sum(one == what for one in self.client.asked)


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def errors_of(served: Served) -> list[str]:
    return [error["code"] for error in json.loads(served.answer.body)["errors"]]


def length_of(headers: Mapping[str, str]) -> int:
    return int(headers["Content-Length"])


async def test_each_machine_type_gets_its_child(fleet: Fleet) -> None:
    index, (generic, zen2, zen3) = fleet.client.put_index(
        [], ["cpu:zen2"], ["cpu:zen3"], tag="latest"
    )
    for one, wanted in ((ZEN3, zen3), (ZEN2, zen2), (OLD, generic)):
        for method in ("HEAD", "GET"):
            served = await fleet.ask(machine=one, method=method)
            answer, body = served.answer, fleet.client.documents[wanted][1]
            assert answer.status == 200
            assert answer.headers["Docker-Content-Digest"] == wanted
            assert answer.headers["Content-Type"] == DOCKER_MANIFEST
            assert answer.headers["X-Metahub-Index"] == index
            assert length_of(answer.headers) == len(body)
            assert answer.body == (body if method == "GET" else b"")
            assert served.decision
            assert served.decision.chosen
            assert (served.decision.chosen.digest, served.left) == (wanted, "")


async def test_a_tag_is_asked_for_each_time_and_all_else_once(fleet: Fleet) -> None:
    index, (child,) = fleet.client.put_index([], tag="latest")
    for one in (ZEN3, ZEN2, OLD) * 3:
        for method in ("HEAD", "GET"):
            await fleet.ask(machine=one, method=method)
    assert fleet.count("HEAD latest") == 18
    assert (fleet.count(f"GET {index}"), fleet.count(f"GET {child}")) == (1, 1)
    assert len(fleet.client.asked) == 20


async def test_a_moved_tag_is_seen_at_once(fleet: Fleet) -> None:
    fleet.client.put_index([], tag="latest")
    await fleet.ask()
    _, (_, moved) = fleet.client.put_index(["x:y"], ["cpu:zen3"], tag="latest")
    assert (await fleet.ask()).answer.headers["Docker-Content-Digest"] == moved


async def test_those_who_ask_at_once_share_a_head(fleet: Fleet) -> None:
    fleet.client.put_index([], tag="latest")
    fleet.client.gate = asyncio.Event()
    waiting = [asyncio.create_task(fleet.ask(machine=one)) for one in (ZEN3, ZEN2, OLD) * 10]
    other = asyncio.create_task(fleet.ask(accept=[DOCKER_MANIFEST]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()  # one that gives up does not take it from the others
    fleet.client.gate.set()
    found = await asyncio.gather(*waiting[1:], other)
    assert {served.answer.status for served in found} == {200}
    assert fleet.count("HEAD latest") == 2  # what a client accepts decides what it is shown
    await fleet.ask()
    assert fleet.count("HEAD latest") == 3


async def test_the_same_accept_is_the_same_head_in_any_order(fleet: Fleet) -> None:
    fleet.client.put_index([], tag="latest")
    one, other = [DOCKER_LIST, DOCKER_MANIFEST], [f"{DOCKER_MANIFEST},{DOCKER_LIST}"]
    await asyncio.gather(fleet.ask(accept=one), fleet.ask(accept=other))
    assert fleet.count("HEAD latest") == 1
    assert fleet.client.accepted[0] == f"{DOCKER_LIST}, {DOCKER_MANIFEST}"


async def test_a_failure_is_told_to_all_who_wait_and_not_kept(fleet: Fleet) -> None:
    fleet.client.put_index([], tag="latest")
    fleet.client.answers["HEAD latest"] = FetchError("no answer")
    found = await asyncio.gather(*(fleet.ask() for _ in range(3)), return_exceptions=True)
    assert [str(error) for error in found] == ["no answer"] * 3
    del fleet.client.answers["HEAD latest"]
    assert (await fleet.ask()).answer.status == 200
    assert fleet.count("HEAD latest") == 2


@pytest.mark.parametrize("error", ["", "late"])
async def test_a_head_nobody_waits_for_ends_quietly(fleet: Fleet, error: str) -> None:
    fleet.client.put_image("x", tag="latest")
    fleet.client.gate = asyncio.Event()
    if error:
        fleet.client.answers["HEAD latest"] = FetchError(error)
    waiting = asyncio.create_task(fleet.ask())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    fleet.client.gate.set()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait([task])
    assert waiting.cancelled()


async def test_a_head_that_the_loop_cancels_is_forgotten(fleet: Fleet) -> None:
    fleet.client.put_image("x", tag="latest")
    fleet.client.gate = asyncio.Event()
    waiting = asyncio.create_task(fleet.ask())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task(), waiting}:
        task.cancel()
    await asyncio.wait([waiting])
    fleet.client.gate = None
    assert (await fleet.ask()).answer.status == 200


# --- by digest


async def test_by_digest_it_comes_from_memory_for_a_minute(fleet: Fleet) -> None:
    _, (child,) = fleet.client.put_index([], tag="latest")
    await fleet.ask(method="HEAD")
    fleet.asked()
    fleet.timer.wait(59)
    for method in ("GET", "HEAD"):
        served = await fleet.ask(child, method=method)
        body = fleet.client.documents[child][1]
        assert served.decision is None
        assert served.answer.headers["Docker-Content-Digest"] == child
        assert length_of(served.answer.headers) == len(body)
        assert served.answer.body == (body if method == "GET" else b"")
    assert fleet.asked() == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (None, 200),
        (DENIED, 403),
        (replace(DENIED, status=403), 403),
        (FakeAnswer(status=404), 404),
        (FakeAnswer(status=429), 429),
        (FakeAnswer(status=500), 500),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_after_that_only_if_the_registry_still_shows_it(
    fleet: Fleet, method: str, answer: FakeAnswer | None, status: int
) -> None:
    _, (child,) = fleet.client.put_index([], tag="latest")
    await fleet.ask()
    fleet.asked()
    fleet.timer.wait(61)
    if answer:
        fleet.client.answers |= {f"{one} {child}": answer for one in ("GET", "HEAD")}
    served = await fleet.ask(child, method=method)
    assert served.answer.status == status
    assert fleet.asked()[0] == f"HEAD {child}"
    if status != 200:
        assert b"schemaVersion" not in served.answer.body
        assert (await fleet.ask(child, method=method)).answer.status == status
    else:
        await fleet.ask(child)
        assert fleet.asked() == []  # vouched for anew


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refusal_ends_the_minute(fleet: Fleet, status: int) -> None:
    _, (child,) = fleet.client.put_index([], tag="latest")
    await fleet.ask()
    fleet.client.answers["HEAD other"] = replace(DENIED, status=status)
    await fleet.ask("other")
    fleet.asked()
    assert (await fleet.ask(child)).answer.status == 200
    assert fleet.asked() == [f"HEAD {child}"]


async def test_another_repository_is_not_vouched_for(fleet: Fleet) -> None:
    """The same digest elsewhere: that one may be known proves nothing of the other."""
    _, (child,) = fleet.client.put_index([], tag="latest")
    await fleet.ask()
    fleet.asked()
    other = replace(REPOSITORY, name="secret")
    fleet.client.answers[f"HEAD {child}"] = DENIED
    asked = Asked(repository=other, request=ManifestRequest("GET", "secret", child), machine=ZEN3)
    served = await fleet.hub.manifest(asked)
    assert served.answer.status == 403
    assert fleet.asked() == [f"HEAD {child}"]


async def test_an_index_by_digest_is_what_it_is(fleet: Fleet) -> None:
    index, _ = fleet.client.put_index([], ["cpu:zen3"])
    served = await fleet.ask(index)
    assert served.decision is None
    assert served.answer.headers["Content-Type"] == DOCKER_LIST
    assert served.answer.body == fleet.client.documents[index][1]


async def test_by_digest_the_digest_that_was_asked_for_counts(fleet: Fleet) -> None:
    """A registry that says another one can't have that taken for it."""
    image, other = fleet.client.put_image("image"), fleet.client.put_image("other")
    headers = {"content-type": DOCKER_MANIFEST, "docker-content-digest": other}
    fleet.client.answers[f"HEAD {image}"] = FakeAnswer(headers=headers)
    assert (await fleet.ask(image)).answer.headers["Docker-Content-Digest"] == image


async def test_content_that_is_not_its_digest_is_the_registrys_own_affair(fleet: Fleet) -> None:
    """Old manifests' digests do not count their signatures; whoever asks verifies."""
    signed = b'{"schemaVersion": 1}'
    headers = {
        "content-type": SCHEMA_1,
        "docker-content-digest": digest(1),
        "content-length": str(len(signed)),
        "etag": '"x"',
        **SECRETS,
    }
    fleet.client.tags["latest"] = digest(1)
    for reference in ("latest", digest(1)):
        fleet.client.answers[f"HEAD {reference}"] = FakeAnswer(headers=headers)
        fleet.client.answers[f"GET {reference}"] = FakeAnswer(headers=headers, body=signed)
    for reference in ("latest", digest(1)):
        for method in ("HEAD", "GET"):
            served = await fleet.ask(reference, method=method, accept=[SCHEMA_1])
            assert served.answer.status == 200
            assert served.answer.body == (signed if method == "GET" else b"")
            assert {name.lower() for name in served.answer.headers} == {
                "content-type",
                "docker-content-digest",
                "content-length",
                "etag",
            }
            assert length_of(served.answer.headers) == len(signed)
            assert fleet.client.accepted[-1] == SCHEMA_1


async def test_a_registry_that_has_it_for_head_alone(fleet: Fleet) -> None:
    fleet.client.tags["latest"] = digest(1)
    headers = {"content-type": DOCKER_MANIFEST}
    fleet.client.answers["HEAD latest"] = FakeAnswer(headers=headers)
    assert (await fleet.ask()).answer.status == 404


# --- what is left as it is


async def test_a_single_manifest(fleet: Fleet) -> None:
    image = fleet.client.put_image("single", tag="latest")
    for method in ("HEAD", "GET"):
        served = await fleet.ask(method=method)
        assert (served.decision, served.left) == (None, "")
        assert served.answer.headers["Docker-Content-Digest"] == image
        assert "X-Metahub-Index" not in served.answer.headers
        assert bool(served.answer.body) is (method == "GET")
    assert fleet.asked() == ["HEAD latest", f"GET {image}", "HEAD latest"]


@pytest.mark.parametrize(
    ("reference", "machine"), [("latest", None), (f"sha256-{'a' * 64}.sig", ZEN3)]
)
async def test_who_must_see_the_index(
    fleet: Fleet, reference: str, machine: MachineType | None
) -> None:
    index, _ = fleet.client.put_index([], tag=reference)
    served = await fleet.ask(reference, machine)
    assert (served.decision, served.left) == (None, "")
    assert served.answer.body == fleet.client.documents[index][1]


async def test_an_index_without_a_digest(fleet: Fleet) -> None:
    index, _ = fleet.client.put_index([], tag="latest")
    body = fleet.client.documents[index][1]
    headers = {"content-type": DOCKER_LIST}
    fleet.client.answers["HEAD latest"] = FakeAnswer(headers=headers)
    fleet.client.answers["GET latest"] = FakeAnswer(headers=headers, body=body)
    served = await fleet.ask()
    assert served.left == "the registry names no digest of the index"
    assert served.answer.body == body


async def test_an_index_that_cannot_be_read(fleet: Fleet) -> None:
    fleet.client.put(b"{}", OCI_INDEX, "latest")
    served = await fleet.ask()
    assert served.left == "schemaVersion: is not 2"
    assert (served.answer.status, served.answer.body) == (200, b"{}")


async def test_an_index_that_cannot_be_had(fleet: Fleet) -> None:
    index, _ = fleet.client.put_index([], tag="latest")
    fleet.client.answers[f"GET {index}"] = FakeAnswer(status=500)
    served = await fleet.ask()
    assert served.left == "the registry answered 500"
    assert served.answer.body == fleet.client.documents[index][1]  # GET latest has it


async def test_a_child_that_the_client_does_not_accept(fleet: Fleet) -> None:
    index, _ = fleet.client.put_index([], tag="latest")
    served = await fleet.ask(accept=[DOCKER_LIST])
    assert served.left == f"the client does not accept {DOCKER_MANIFEST}"
    assert served.answer.headers["Docker-Content-Digest"] == index


async def test_a_choice_ends_after_its_time() -> None:
    fleet = Fleet(seconds=0.01)
    index, (child,) = fleet.client.put_index([], tag="latest")
    fleet.client.gate, fleet.client.held = asyncio.Event(), frozenset({f"GET {child}"})
    served = await fleet.ask()
    assert served.left == "no choice within 0.01 s"
    assert served.answer.headers["Docker-Content-Digest"] == index
    fleet.client.gate.set()


async def test_an_index_without_platforms(fleet: Fleet) -> None:
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    index = fleet.client.put(json.dumps(document).encode(), OCI_INDEX, "latest")
    served = await fleet.ask()
    assert (served.decision, served.left) == (None, "")
    assert served.answer.headers["Docker-Content-Digest"] == index


# --- what is missing


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_fits_and_the_index_is_given(fleet: Fleet, method: str) -> None:
    index, _ = fleet.client.put_index(["cpu:zen4"], tag="latest")
    served = await fleet.ask(method=method)
    assert served.decision
    assert served.decision.chosen is None
    assert served.answer.status == 200
    assert served.answer.headers["Docker-Content-Digest"] == index


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_nothing_fits_and_that_is_an_error(fleet: Fleet, method: str) -> None:
    fleet.client.put_index(["cpu:zen4"], tag="latest")
    served = await fleet.ask(machine=replace(ZEN3, otherwise=Otherwise.ERROR), method=method)
    assert served.decision
    assert served.decision.chosen is None
    assert served.answer.status == 404
    assert length_of(served.answer.headers) > 0
    if method == "GET":
        assert errors_of(served) == ["MANIFEST_UNKNOWN"]
        assert length_of(served.answer.headers) == len(served.answer.body)
    else:
        assert served.answer.body == b""


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_child_that_is_missing_is_no_choice_for_a_while(fleet: Fleet, method: str) -> None:
    _, (generic, zen2, zen3) = fleet.client.put_index([], ["cpu:zen2"], ["cpu:zen3"], tag="latest")
    kept = {missing: fleet.client.documents.pop(missing) for missing in (zen2, zen3)}
    served = await fleet.ask(method=method)
    assert served.answer.headers["Docker-Content-Digest"] == generic
    assert served.decision
    assert [verdict.reasons for verdict in served.decision.verdicts[1:]] == [
        ("is missing in the registry",)
    ] * 2
    assert (fleet.count(f"GET {zen3}"), fleet.count(f"GET {zen2}")) == (1, 1)
    fleet.client.documents |= kept
    await fleet.ask(method=method)
    assert fleet.count(f"GET {zen3}") == 1
    fleet.timer.wait(301)
    served = await fleet.ask(method=method)
    assert served.answer.headers["Docker-Content-Digest"] == zen3


async def test_what_is_missing_elsewhere_is_not_missing_here(fleet: Fleet) -> None:
    _, (child,) = fleet.client.put_index([], tag="latest")
    missing = fleet.client.documents.pop(child)
    await fleet.ask()
    fleet.client.documents[child] = missing
    other = replace(REPOSITORY, name="other")
    asked = Asked(repository=other, request=ManifestRequest("GET", "other", "latest"), machine=ZEN3)
    served = await fleet.hub.manifest(asked)
    assert served.answer.headers["Docker-Content-Digest"] == child


async def test_all_children_are_missing(fleet: Fleet) -> None:
    index, children = fleet.client.put_index(*([f"x{at}:y"] for at in range(3)), tag="latest")
    for child in children:
        del fleet.client.documents[child]
    served = await fleet.ask(machine=machine("x0:y", "x1:y", "x2:y"))
    assert served.decision
    assert served.decision.chosen is None
    assert served.answer.headers["Docker-Content-Digest"] == index


async def test_too_many_children_are_missing(fleet: Fleet) -> None:
    features = [f"x{at}:y" for at in range(6)]
    index, children = fleet.client.put_index(*([one] for one in features), tag="latest")
    for child in children:
        del fleet.client.documents[child]
    served = await fleet.ask(machine=machine(*features))
    assert served.left == "too many children are missing in the registry"
    assert served.answer.headers["Docker-Content-Digest"] == index


@pytest.mark.parametrize("status", [500, 429, 403])
async def test_a_child_that_cannot_be_had_is_not_missing(fleet: Fleet, status: int) -> None:
    index, (_, zen3) = fleet.client.put_index([], ["cpu:zen3"], tag="latest")
    fleet.client.answers[f"GET {zen3}"] = replace(DENIED, status=status)
    served = await fleet.ask()
    assert served.left == f"the registry answered {status}"
    assert served.answer.headers["Docker-Content-Digest"] == index
    del fleet.client.answers[f"GET {zen3}"]
    assert (await fleet.ask()).answer.headers["Docker-Content-Digest"] == zen3


# --- refusals


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("reference", ["latest", digest(1)])
async def test_a_registry_that_denies_the_hub(
    fleet: Fleet, method: str, status: int, reference: str
) -> None:
    fleet.client.answers[f"HEAD {reference}"] = replace(DENIED, status=status, body=b"")
    served = await fleet.ask(reference, method=method)
    assert served.answer.status == 403
    assert set(served.answer.headers) == {"Content-Type", "Content-Length"}
    assert fleet.asked() == [f"HEAD {reference}"]
    if method == "GET":
        assert errors_of(served) == ["DENIED"]
        assert REPOSITORY.name in served.answer.body.decode()


async def test_an_image_that_is_not_there(fleet: Fleet) -> None:
    served = await fleet.ask(accept=[DOCKER_MANIFEST])
    assert served.answer.status == 404
    assert errors_of(served) == ["MANIFEST_UNKNOWN"]
    assert length_of(served.answer.headers) == len(served.answer.body)
    assert set(served.answer.headers) == {"Content-Type", "Content-Length"}
    assert fleet.asked() == ["HEAD latest", "GET latest"]
    served = await fleet.ask(method="HEAD")
    assert (served.answer.status, served.answer.body) == (404, b"")
    assert fleet.asked() == ["HEAD latest"]


async def test_a_registry_that_asks_to_wait(fleet: Fleet) -> None:
    headers = {"retry-after": "7", "docker-distribution-api-version": "registry/2.0", **SECRETS}
    busy = FakeAnswer(status=429, headers=headers)
    fleet.client.answers |= {"HEAD latest": busy, "GET latest": replace(busy, body=b"slow")}
    for method, body in (("HEAD", b""), ("GET", b"slow")):
        served = await fleet.ask(method=method)
        assert (served.answer.status, served.answer.body) == (429, body)
        assert served.answer.headers == {
            "Retry-After": "7",
            "Docker-Distribution-Api-Version": "registry/2.0",
            "Content-Length": str(len(body)),
        }


@pytest.mark.parametrize(
    ("got", "status", "code"),
    [
        (FakeAnswer(body=b"{}"), 502, "UNKNOWN"),
        (DENIED, 403, "DENIED"),
        (replace(DENIED, status=403), 403, "DENIED"),
    ],
)
async def test_a_registry_that_answers_get_otherwise_than_head(
    fleet: Fleet, got: FakeAnswer, status: int, code: str
) -> None:
    fleet.client.answers |= {"HEAD latest": FakeAnswer(status=404), "GET latest": got}
    served = await fleet.ask()
    assert (served.answer.status, errors_of(served)) == (status, [code])


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_registry_that_no_longer_has_what_it_named(fleet: Fleet, status: int) -> None:
    """HEAD has shown it, the documents are refused: what GET says holds."""
    image = fleet.client.put_image("image", tag="latest")
    refused = replace(DENIED, status=status)
    fleet.client.answers |= {f"GET {image}": refused, "GET latest": replace(refused, body=b"no")}
    served = await fleet.ask()
    assert served.answer.status == (404 if status == 404 else 403)


# --- conditions


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_a_client_has_is_not_sent_again(fleet: Fleet, method: str) -> None:
    _, (child,) = fleet.client.put_index(["cpu:zen3"], tag="latest")
    for reference in ("latest", child):
        served = await fleet.ask(reference, method=method, if_none_match=f'"{child}"')
        assert (served.answer.status, served.answer.body) == (304, b"")
        assert served.answer.headers["Docker-Content-Digest"] == child
        served = await fleet.ask(reference, method=method, if_none_match=f'"{digest(1)}"')
        assert served.answer.status == 200


async def test_a_condition_of_a_single_manifest(fleet: Fleet) -> None:
    image = fleet.client.put_image("single", tag="latest")
    served = await fleet.ask(if_none_match=f'"{image}"')
    assert served.answer.status == 304


# --- the matrix


async def test_what_each_machine_type_would_get(fleet: Fleet) -> None:
    index, (generic, zen3) = fleet.client.put_index([], ["cpu:zen3"], tag="latest")
    for reference in ("latest", index):
        found, decisions = await fleet.hub.decide(REPOSITORY, reference, [OLD, ZEN3])
        assert found == index
        assert [one.chosen and one.chosen.digest for one in decisions] == [generic, zen3]
    assert [decision.machine for decision in decisions] == [OLD, ZEN3]


async def test_a_matrix_by_digest_needs_no_digest_of_the_registry(fleet: Fleet) -> None:
    index, _ = fleet.client.put_index([])
    fleet.client.answers[f"HEAD {index}"] = FakeAnswer(headers={"content-type": DOCKER_LIST})
    found, _ = await fleet.hub.decide(REPOSITORY, index, [ZEN3])
    assert found == index


async def test_a_decision_where_nothing_fits(fleet: Fleet) -> None:
    fleet.client.put_index(["cpu:zen4"], tag="latest")
    _, (decision,) = await fleet.hub.decide(REPOSITORY, "latest", [ZEN3])
    assert decision.chosen is None


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (FakeAnswer(status=404), FetchError, "answered 404"),
        (DENIED, FetchError, "answered 401"),
        (FakeAnswer(), InvalidIndex, "no index but a document without a type"),
        (FakeAnswer(headers={"content-type": DOCKER_LIST}), FetchError, "names no digest"),
        (
            FakeAnswer(
                headers={"content-type": DOCKER_MANIFEST, "docker-content-digest": digest(1)}
            ),
            InvalidIndex,
            "no index but a application/vnd.docker",
        ),
        (FetchError("no answer"), FetchError, "no answer"),
    ],
)
async def test_nothing_to_decide(
    fleet: Fleet, answer: FakeAnswer | FetchError, error: type[Exception], says: str
) -> None:
    fleet.client.answers["HEAD latest"] = answer
    with pytest.raises(error, match=says):
        await fleet.hub.decide(REPOSITORY, "latest", [ZEN3])


# --- what goes to the registry


async def test_nothing_of_a_client_but_what_it_accepts_goes_to_the_registry(fleet: Fleet) -> None:
    fleet.client.put_index([], tag="latest")
    for reference in ("latest", "none", digest_of(b"none")):
        for method in ("GET", "HEAD"):
            await fleet.ask(reference, method=method, accept=["text/x"], if_none_match='"x"')
    assert {one.authorization for one in fleet.client.repositories} == {""}
    assert {one.name for one in fleet.client.repositories} == {REPOSITORY.name}
