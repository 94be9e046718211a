"""The way from an index that upstream has shown to the answer that a client gets.

No flow and no I/O of its own: documents come from an Upstream, and the outcome is a
value. Whoever calls it applies, logs and counts.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from metahub_addon.answer import Answer, child_answer, error_answer
from metahub_addon.compatibility import Compatibility
from metahub_addon.decisions import Decisions, Question
from metahub_addon.digest import digest_of, is_digest
from metahub_addon.index import Child, Index, InvalidIndex, parse_index
from metahub_addon.machine import MachineType, Otherwise
from metahub_addon.media_types import accepts
from metahub_addon.nesting import open_nested
from metahub_addon.selection import Decision, choose
from metahub_addon.upstream import Document, FetchError, Repository, Upstream

_Result = TypeVar("_Result")

# From about 500 children on, parsing or judging an index takes several milliseconds, and up to
# a second: two at a time, so that they take no core from all else.
_LARGE_BYTES = 200_000
_threads = ThreadPoolExecutor(2, "metahub-choice")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a client asked of a tag, and the index that upstream has just answered with.

    `digest` is its Docker-Content-Digest or empty, `body` its bytes, None where they are
    not at hand (HEAD; compressed; of unknown length). `accept` has all lines of Accept.
    """

    repository: Repository
    head: bool
    media_type: str
    digest: str = ""
    body: bytes | None = None
    accept: Sequence[str] = ()
    if_none_match: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The decision, and the answer to give instead of upstream's; None: leave that."""

    decision: Decision
    answer: Answer | None


async def rewrite(
    shown: Shown,
    machine: MachineType,
    upstream: Upstream,
    absent: frozenset[str] = frozenset(),
    compatibility: Compatibility | None = None,
    decisions: Decisions | None = None,
) -> Outcome:
    """Choose the child that fits a machine type and build the whole answer.

    `absent` holds digests that the registry is known not to have; `compatibility`, if the
    operator wants it, what images say of themselves in artifacts; `decisions` those that
    were made before. Raises FetchError and InvalidIndex, where upstream's answer must stand.
    """
    document = await _index_document(shown, upstream)
    if compatibility is not None:
        index = await _index(shown, machine, upstream, document)
        decision = await compatibility.choose(index, machine, shown.repository, absent)
    else:
        identity = shown.repository.identity
        question = Question(identity, document.digest, document.media_type, absent)
        made = decisions.get(question, machine) if decisions else None
        decision = made or await _choose(shown, machine, upstream, document, absent)
        if decisions and not made:
            decisions.put(question, machine, decision)
    child = decision.chosen
    if not decision.has_platforms:
        return Outcome(decision, None)
    if child is None:
        refused = error_answer(machine, document.digest, decision.reason, shown.head)
        return Outcome(decision, refused if machine.otherwise is Otherwise.ERROR else None)
    if not accepts(list(shown.accept), child.media_type):
        raise FetchError(f"the client does not accept {child.media_type}")
    body = b"" if shown.head else (await _fetch(shown, upstream, child)).body
    answer = child_answer(child, machine, document.digest, body, shown.if_none_match)
    return Outcome(decision, answer)


async def _choose(
    shown: Shown,
    machine: MachineType,
    upstream: Upstream,
    document: Document,
    absent: frozenset[str],
) -> Decision:
    index = await _index(shown, machine, upstream, document)
    return await _apart(document, partial(choose, index, machine, absent))


async def _apart(document: Document, work: Callable[[], _Result]) -> _Result:
    """Do work on an index here, or beside the event loop where it takes other pulls' time."""
    if len(document.body) <= _LARGE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_threads, work)


async def _index(
    shown: Shown, machine: MachineType, upstream: Upstream, document: Document
) -> Index:
    """The parsed index, the nested ones in it opened."""

    async def open_child(child: Child) -> Index:
        return await parse(await _fetch(shown, upstream, child))

    async def parse(document: Document) -> Index:
        return await _apart(document, partial(parse_index, document.body, document.media_type))

    index = await parse(document)
    return await open_nested(index, machine.platform, open_child)


async def _fetch(shown: Shown, upstream: Upstream, child: Child) -> Document:
    return await upstream.fetch(shown.repository, child.digest, child.media_type, child.size)


async def _index_document(shown: Shown, upstream: Upstream) -> Document:
    """The index that upstream has just shown to this client: at hand, or by its digest."""
    named = is_digest(shown.digest)
    if shown.body is None:
        if not named:
            raise FetchError("the registry names no digest of the index")
        return await upstream.fetch(shown.repository, shown.digest, shown.media_type)
    digest = digest_of(shown.body, like=shown.digest if named else "sha256:")
    if named and shown.digest != digest:
        raise InvalidIndex("index: is not what its Docker-Content-Digest says")
    document = Document(digest, shown.media_type, shown.body)
    upstream.put(shown.repository, document)
    return document
