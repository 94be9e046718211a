import importlib
import json
import threading
from dataclasses import replace

import pytest

from metahub_addon.compatibility import Compatibility
from metahub_addon.decisions import Decisions
from metahub_addon.http_fetcher import HttpFetcher
from metahub_addon.index import InvalidIndex
from metahub_addon.machine import Otherwise
from metahub_addon.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX
from metahub_addon.nfd import NodeFeatures
from metahub_addon.rewrite import Outcome, Shown, rewrite
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import FetchError, Repository, Upstream
from support.descriptors import machine
from support.embedded_registry import EmbeddedRegistry, index_of
from support.fake_fetcher import REPOSITORY, FakeFetcher

HOST = machine("cpu:zen3")
CONTENT = EmbeddedRegistry()
INDEX = CONTENT.put_family("a/b", "list", [[], ["cpu:zen3"]])
NESTED = CONTENT.put("a/b", index_of([INDEX], OCI_INDEX), "nested")
BODY = CONTENT.manifests[("a/b", "list")][1]
GENERIC, ZEN3 = (child["digest"] for child in json.loads(BODY)["manifests"])

HEAD = Shown(repository=REPOSITORY, head=True, media_type=DOCKER_LIST, digest=INDEX["digest"])
GET = replace(HEAD, head=False, body=BODY)


def source() -> tuple[FakeFetcher, Upstream]:
    documents = {reference: document for (_, reference), document in CONTENT.manifests.items()}
    fetcher = FakeFetcher(documents=documents)
    return fetcher, Upstream(fetcher, 1_000_000, 5)


async def run(shown: Shown, absent: frozenset[str] = frozenset()) -> Outcome:
    return await rewrite(shown, HOST, source()[1], absent)


@pytest.mark.parametrize(
    ("shown", "fetches"),
    [
        (HEAD, 1),
        (GET, 1),
        (replace(GET, body=None), 2),
        (replace(GET, digest=""), 1),
        (replace(HEAD, media_type=OCI_INDEX, digest=NESTED["digest"]), 2),
    ],
)
async def test_the_child_is_answered(shown: Shown, fetches: int) -> None:
    fetcher, upstream = source()
    outcome = await rewrite(shown, HOST, upstream)
    assert outcome.answer
    assert outcome.answer.headers["Docker-Content-Digest"] == ZEN3
    assert outcome.answer.body == (b"" if shown.head else CONTENT.manifests[("a/b", ZEN3)][1])
    assert len(fetcher.asked) == fetches
    await rewrite(shown, HOST, upstream)
    assert len(fetcher.asked) == fetches


async def test_what_the_registry_lacks_is_left_out() -> None:
    outcome = await run(HEAD, absent=frozenset({ZEN3}))
    assert outcome.decision.chosen
    assert outcome.decision.chosen.digest == GENERIC


async def test_a_decision_is_made_once() -> None:
    decisions, upstream = Decisions(), source()[1]
    first = await rewrite(HEAD, HOST, upstream, decisions=decisions)
    again = await rewrite(GET, HOST, upstream, decisions=decisions)
    assert again.decision is first.decision
    assert again.answer
    assert again.answer.body == CONTENT.manifests[("a/b", ZEN3)][1]
    for shown, host, absent, chosen in (
        (HEAD, HOST, frozenset({ZEN3}), GENERIC),
        (replace(HEAD, digest=NESTED["digest"], media_type=OCI_INDEX), HOST, frozenset(), ZEN3),
        (HEAD, machine(), frozenset(), GENERIC),
        (HEAD, HOST, frozenset(), ZEN3),
    ):
        found = await rewrite(shown, host, upstream, absent, decisions=decisions)
        assert found.decision is not first.decision
        assert found.decision.chosen
        assert found.decision.chosen.digest == chosen


@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize(("otherwise", "status"), [(Otherwise.INDEX, None), (Otherwise.ERROR, 404)])
async def test_nothing_fits(head: bool, otherwise: Otherwise, status: int | None) -> None:
    both = frozenset({GENERIC, ZEN3})
    host = replace(HOST, otherwise=otherwise)
    outcome = await rewrite(replace(GET, head=head), host, source()[1], both)
    assert outcome.decision.chosen is None
    assert (outcome.answer and outcome.answer.status) == status


async def test_an_index_without_platforms_is_not_ours() -> None:
    children = [{key: INDEX[key] for key in ("digest", "size")} | {"mediaType": DOCKER_MANIFEST}]
    body = json.dumps(index_of(children)).encode()
    strict = replace(HOST, otherwise=Otherwise.ERROR)
    outcome = await rewrite(replace(GET, digest="", body=body), strict, source()[1])
    assert not outcome.decision.has_platforms
    assert outcome.answer is None


@pytest.mark.parametrize(
    ("shown", "error", "says"),
    [
        (replace(HEAD, digest=""), FetchError, "names no digest"),
        (replace(GET, digest=ZEN3), InvalidIndex, "Docker-Content-Digest"),
        (replace(GET, accept=[DOCKER_LIST]), FetchError, "does not accept"),
        (replace(GET, digest="", body=b"{}"), InvalidIndex, "schemaVersion"),
    ],
)
async def test_upstreams_answer_must_stand(shown: Shown, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        await run(shown)


class Says(Compatibility):
    """Refuses some digests."""

    def __init__(self, *refused: str) -> None:
        super().__init__(HttpFetcher(TlsSettings(), 1), NodeFeatures())
        self.refused = refused
        self.asked: list[str] = []

    async def refusal(self, repository: Repository, digest: str) -> str:
        self.asked.append(digest)
        return "does not hold" if digest in self.refused else ""


@pytest.mark.parametrize(
    ("refused", "chosen", "asked"),
    [((), ZEN3, 1), ((ZEN3,), GENERIC, 2), ((ZEN3, GENERIC), None, 2)],
)
async def test_what_an_artifact_refuses_is_left_out(
    refused: tuple[str, ...], chosen: str | None, asked: int
) -> None:
    says = Says(*refused)
    outcome = await rewrite(HEAD, HOST, source()[1], compatibility=says)
    found = outcome.decision.chosen
    assert (found and found.digest) == chosen
    assert len(says.asked) == asked
    reasons = {v.child.digest: v.reasons for v in outcome.decision.verdicts}
    assert all(reasons[digest] == ("does not hold",) for digest in refused)


async def test_only_so_many_children_are_asked_about() -> None:
    registry = EmbeddedRegistry()
    many = registry.put_family("a/b", "many", [[f"x{at}"] for at in range(20)])
    documents = {reference: document for (_, reference), document in registry.manifests.items()}
    upstream = Upstream(FakeFetcher(documents=documents), 1_000_000, 5)
    digests = [c["digest"] for c in json.loads(documents["many"][1])["manifests"]]
    says = Says(*digests)
    shown = replace(HEAD, digest=many["digest"])
    host = machine(*(f"x{at}" for at in range(20)))
    with pytest.raises(FetchError, match="more than 16 images are refused"):
        await rewrite(shown, host, upstream, compatibility=says)
    assert len(says.asked) == 16


async def test_a_large_index_is_judged_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both parsed and judged: else all other pulls wait for seconds."""
    threads = set()

    def noted(module: str, name: str) -> None:
        original = getattr(module_of(module), name)

        def work(*arguments: object) -> object:
            threads.add(f"{name} in {threading.current_thread().name.partition('_')[0]}")
            return original(*arguments)

        monkeypatch.setattr(f"metahub_addon.rewrite.{name}", work)

    noted("index", "parse_index")
    noted("selection", "choose")
    content = EmbeddedRegistry()
    features: list[list[str]] = [[f"some:{at}", "cpu:zen3"] for at in range(1500)]
    index = content.put_family("a/b", "list", [*features, ["cpu:zen3"]])
    body = content.manifests[("a/b", "list")][1]
    assert len(body) > 200_000
    documents = {reference: document for (_, reference), document in content.manifests.items()}
    upstream = Upstream(FakeFetcher(documents=documents), 10_000_000, 5)
    large = replace(GET, digest=index["digest"], body=body)
    outcome = await rewrite(large, HOST, upstream)
    assert outcome.decision.chosen
    assert threads == {"parse_index in metahub-choice", "choose in metahub-choice"}

    threads.clear()
    await rewrite(GET, HOST, source()[1])
    assert threads == {"parse_index in MainThread", "choose in MainThread"}


def module_of(name: str) -> object:
    return importlib.import_module(f"metahub_addon.{name}")
