"""Manifests for a hub's clients: asked for once for the whole fleet, with the hub's login.

Every tag is asked for by HEAD, each time; what a digest names is fetched once, and given
only to whom the registry has just shown (to this hub) that it is still there.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from cachetools import LRUCache, TTLCache

from metahub_addon.answer import Answer, error_answer, manifest_answer
from metahub_addon.decisions import Decisions
from metahub_addon.digest import is_digest
from metahub_addon.index import InvalidIndex
from metahub_addon.machine import MachineType
from metahub_addon.media_types import INDEXES, MANIFESTS, essence
from metahub_addon.oci_error import oci_error
from metahub_addon.registry import ManifestRequest
from metahub_addon.registry_login import Said
from metahub_addon.rewrite import Outcome, Shown, rewrite
from metahub_addon.selection import Decision
from metahub_addon.shared_work import SharedWork
from metahub_addon.upstream import FetchError, Repository, Upstream

logger = logging.getLogger("metahub")

_ANY = ", ".join(sorted(INDEXES | MANIFESTS))
# So long may a manifest be served from memory after the registry has last shown that the
# hub may read its repository.
_VOUCHED_SECONDS = 60.0
_ABSENT_SECONDS = 300.0
_MAX_TRIES = 4
# Together as much as about 50 MB: who names features in a login makes up machine types.
_MACHINES, _CHILDREN = 128, 250
# What an answer of the registry's that is no manifest may tell a client.
_PASSED_ON = ("content-type", "retry-after", "docker-distribution-api-version")


class Client(Protocol):
    """The way to registries, with the hub's credentials."""

    async def request(
        self, repository: Repository, method: str, path: str, *, accept: str = ""
    ) -> Said:
        """Any answer is one, with a bounded body; raises FetchError where there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A client's request for a manifest, and the machine type that it is for.

    `machine` is None for a client that must see the whole index.
    """

    repository: Repository
    request: ManifestRequest
    machine: MachineType | None
    accept: Sequence[str] = ()
    if_none_match: str = ""

    @property
    def is_head(self) -> bool:
        """True if the client wants the headers alone."""
        return self.request.method == "HEAD"


@dataclass(frozen=True, slots=True)
class Served:
    """The answer; the decision, if an index was chosen from; why the index was given whole."""

    answer: Answer
    decision: Decision | None = None
    left: str = ""


class HubRegistry:
    """Answers requests for manifests, from memory and the registries behind the hub.

    `seconds` bounds each choice; `timer` is a monotonic clock in seconds.
    """

    def __init__(
        self,
        client: Client,
        upstream: Upstream,
        seconds: float,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._upstream = upstream
        self._seconds = seconds
        self._heads = SharedWork[Said]()
        self._decisions: LRUCache[str, Decisions] = LRUCache(_MACHINES)
        self._vouched: TTLCache[tuple[str, ...], bool] = TTLCache(4096, _VOUCHED_SECONDS, timer)
        self._absent: TTLCache[tuple[str, ...], bool] = TTLCache(4096, _ABSENT_SECONDS, timer)

    async def manifest(self, asked: Asked) -> Served:
        """The answer to a request for a manifest; raises FetchError where there is none."""
        if asked.request.by_digest:
            return Served(await self._by_digest(asked))
        head = await self._head(asked)
        media_type, digest = _named(head)
        if head.status != 200:
            return Served(await self._refusal(asked, head))
        if asked.machine is None or asked.request.attached or media_type not in INDEXES:
            return Served(await self._as_it_is(asked, head))
        if not is_digest(digest):
            left = "the registry names no digest of the index"
            return Served(await self._as_it_is(asked, head), left=left)
        return await self._child(asked, head)

    async def decide(
        self, repository: Repository, tag: str, machines: Sequence[MachineType]
    ) -> tuple[str, tuple[Decision, ...]]:
        """What each machine type would get of a tag or digest, and the index's digest.

        Raises FetchError and InvalidIndex, also where there is no index.
        """
        request = ManifestRequest("HEAD", repository.name, tag)
        asked = Asked(repository=repository, request=request, machine=None)
        head = await self._head(asked)
        media_type, digest = _named(head)
        if head.status != 200:
            raise FetchError(f"the registry answered {head.status}", head.status)
        if media_type not in INDEXES:
            raise InvalidIndex(f"is no index but a {media_type or 'document without a type'}")
        digest = tag if request.by_digest else digest
        if not is_digest(digest):
            raise FetchError("the registry names no digest of the index")
        decisions = []
        for machine in machines:
            await asyncio.sleep(0)  # pulls have their turn between two of many machine types
            outcome = await self._choose(replace(asked, machine=machine), media_type, digest)
            decisions.append(outcome.decision)
        return digest, tuple(decisions)

    async def _child(self, asked: Asked, head: Said) -> Served:
        """The child for a machine type, or the whole index and why."""
        try:
            async with asyncio.timeout(self._seconds):
                outcome = await self._choose(asked, *_named(head))
        except (FetchError, InvalidIndex) as error:
            return Served(await self._as_it_is(asked, head), left=str(error))
        except TimeoutError:
            left = f"no choice within {self._seconds:g} s"
            return Served(await self._as_it_is(asked, head), left=left)
        answer = outcome.answer or await self._as_it_is(asked, head)
        return Served(answer, outcome.decision if outcome.decision.has_platforms else None)

    async def _choose(self, asked: Asked, media_type: str, digest: str) -> Outcome:
        """Choose a child that the registry has: it is fetched, also for a HEAD.

        For a fleet that costs nothing, and a client is never sent to what is not there.
        """
        assert asked.machine
        repository = asked.repository
        shown = Shown(
            repository=repository,
            # The headers alone: the body is fetched below, where what is missing is known.
            head=True,
            media_type=media_type,
            digest=digest,
            accept=asked.accept or (_ANY,),
            if_none_match=asked.if_none_match,
        )
        decisions = self._decisions_of(asked.machine)
        for _ in range(_MAX_TRIES):
            absent = self._absent_in(repository)
            outcome = await rewrite(
                shown, asked.machine, self._upstream, absent, decisions=decisions
            )
            child = outcome.decision.chosen
            if outcome.answer is None:
                return outcome
            if child is None:
                reason, head = outcome.decision.reason, asked.is_head
                return replace(outcome, answer=error_answer(asked.machine, digest, reason, head))
            try:
                document = await self._upstream.fetch(
                    repository, child.digest, child.media_type, child.size
                )
            except FetchError as error:
                if error.status != 404:
                    raise
                self._absent[(*repository.identity, child.digest)] = True
                logger.warning("%s: named by its index, missing in the registry", child.digest)
                continue
            has_body = not asked.is_head and outcome.answer.status == 200
            body = document.body if has_body else b""
            return replace(outcome, answer=replace(outcome.answer, body=body))
        raise FetchError("too many children are missing in the registry")

    def _decisions_of(self, machine: MachineType) -> Decisions:
        made = self._decisions.get(machine.name)
        if made is None:
            made = self._decisions[machine.name] = Decisions(_CHILDREN)
        return made

    async def _by_digest(self, asked: Asked) -> Answer:
        repository, digest = asked.repository, asked.request.reference
        document = self._upstream.known(repository, digest)
        if document is None or repository.identity not in self._vouched:
            # Who may not read the repository any more gets nothing from memory either.
            head = await self._head(asked)
            if head.status != 200:
                return await self._refusal(asked, head)
            return await self._as_it_is(asked, head)
        return manifest_answer(document, asked.is_head, asked.if_none_match)

    async def _as_it_is(self, asked: Asked, head: Said) -> Answer:
        """What the tag or digest names, untouched."""
        media_type, digest = _named(head)
        if asked.request.by_digest:
            digest = asked.request.reference
        repository = asked.repository
        try:
            if not is_digest(digest):
                raise FetchError("the registry names no digest")
            document = await self._upstream.fetch(repository, digest, media_type)
        except FetchError as error:
            # Old kinds of manifest, or too large for us: the registry's own answer stands.
            logger.debug("%s: %s: as the registry answers", asked.request, error)
            return await self._passed_on(asked)
        return manifest_answer(document, asked.is_head, asked.if_none_match)

    async def _passed_on(self, asked: Asked) -> Answer:
        path = f"manifests/{asked.request.reference}"
        accept = ", ".join(asked.accept)
        got = await self._client.request(
            asked.repository, asked.request.method, path, accept=accept
        )
        if got.status != 200:
            return await self._refusal(asked, got)
        kept = ("content-type", "docker-content-digest", "etag", "content-length")
        headers = {name.title(): got.headers[name] for name in kept if name in got.headers}
        if not asked.is_head:
            headers["Content-Length"] = str(len(got.body))
        return Answer(status=200, headers=headers, body=got.body)

    async def _refusal(self, asked: Asked, answer: Said) -> Answer:
        """What a client is told where the registry has no manifest for it."""
        if answer.status in (401, 403):
            message = f"{asked.request}: the registry behind this hub denies the hub access"
            return oci_error(403, "DENIED", message, asked.is_head)
        if asked.is_head or answer.body:
            got = answer
        else:
            # A HEAD's answer has no body: a client that wants one gets the registry's own.
            path, accept = f"manifests/{asked.request.reference}", ", ".join(asked.accept)
            got = await self._client.request(asked.repository, "GET", path, accept=accept)
            if got.status == 200:
                message = (
                    f"{asked.request}: the registry behind this hub answers HEAD and GET apart"
                )
                return oci_error(502, "UNKNOWN", message)
            if got.status in (401, 403):
                return await self._refusal(asked, got)
        headers = {name.title(): got.headers[name] for name in _PASSED_ON if name in got.headers}
        body = b"" if asked.is_head else got.body
        return Answer(
            status=got.status, headers={**headers, "Content-Length": str(len(body))}, body=body
        )

    async def _head(self, asked: Asked) -> Said:
        """Ask for a tag or digest by HEAD; who asks the same at the same time shares one."""
        accept = ", ".join(
            sorted({one.strip() for line in asked.accept for one in line.split(",")})
        )
        key = (*asked.repository.identity, asked.request.reference, accept)

        path = f"manifests/{asked.request.reference}"
        answer = await self._heads.do(
            key,
            lambda: self._client.request(asked.repository, "HEAD", path, accept=accept or _ANY),
        )
        if answer.status == 200:
            self._vouched[asked.repository.identity] = True
        elif answer.status in (401, 403):
            self._vouched.pop(asked.repository.identity, None)
        return answer

    def _absent_in(self, repository: Repository) -> frozenset[str]:
        prefix = repository.identity
        return frozenset(key[-1] for key in self._absent if key[:-1] == prefix)


def _named(head: Said) -> tuple[str, str]:
    """The media type and digest that a registry's answer names."""
    media_type = essence(head.headers.get("content-type", ""))
    return media_type, head.headers.get("docker-content-digest", "")
