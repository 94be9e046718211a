"""Ask a registry for a child's compatibility artifact, and hold it against this host.

Opt-in: it costs requests. A child without an artifact is taken; one whose artifact cannot
be read or does not hold is left out of the choice.
"""

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from cachetools import TTLCache

from metahub_addon.digest import digest_of, is_digest
from metahub_addon.index import Index
from metahub_addon.machine import MachineType
from metahub_addon.media_types import OCI_INDEX, OCI_MANIFEST
from metahub_addon.nfd import (
    ARTIFACT_TYPE,
    MAX_SPEC_BYTES,
    SPEC_TYPE,
    InvalidSpec,
    NodeFeatures,
    parse_spec,
    refusal,
)
from metahub_addon.selection import Decision, choose
from metahub_addon.upstream import FetchError, Repository

logger = logging.getLogger(__name__)

_SECONDS = 300.0  # an artifact may be attached at any time
_ENTRIES = 4096
# Children that are asked for their artifacts at most: each costs requests.
_MAX_REFUSED = 16
_CREATED = "org.opencontainers.image.created"


class Source(Protocol):
    """The way to a registry."""

    async def ask(
        self, repository: Repository, path: str, accept: str, params: Mapping[str, str]
    ) -> tuple[str, bytes]:
        """The Content-Type and body of a path below the repository; raises FetchError."""
        ...


class Compatibility:
    """What keeps children from a node, by registry, repository and digest; for a while."""

    def __init__(self, source: Source, node: NodeFeatures) -> None:
        self._source = source
        self._node = node
        self._known: TTLCache[tuple[str, ...], str] = TTLCache(_ENTRIES, _SECONDS)

    async def choose(
        self,
        index: Index,
        machine: MachineType,
        repository: Repository,
        absent: frozenset[str] = frozenset(),
    ) -> Decision:
        """Choose, and choose again without a child that its artifact keeps from this host.

        Raises FetchError where too many are: what was not asked about is not chosen.
        """
        refused: dict[str, str] = {}
        while True:
            decision = choose(index, machine, absent, refused)
            if decision.chosen is None:
                return decision
            if len(refused) >= _MAX_REFUSED:
                raise FetchError(f"more than {_MAX_REFUSED} images are refused by their artifacts")
            digest = decision.chosen.digest
            reason = await self.refusal(repository, digest)
            if not reason:
                return decision
            refused[digest] = reason

    async def refusal(self, repository: Repository, digest: str) -> str:
        """Why a child does not run here; empty if nothing says so.

        A registry that fails to answer keeps nothing from being pulled: that is a warning.
        """
        key = (*repository.identity, digest)
        if key not in self._known:
            try:
                self._known[key] = await self._judge(repository, digest)
            except FetchError as error:
                logger.warning("%s: compatibility of %s: %s", repository.name, digest, error)
                return ""
        return self._known[key]

    async def _judge(self, repository: Repository, digest: str) -> str:
        artifact = _newest(await self._referrers(repository, digest))
        if not artifact:
            return ""
        try:
            body = await self._get(repository, "manifests", artifact, OCI_MANIFEST)
            layers = _load(body).get("layers")
            spec = next(
                layer["digest"]
                for layer in (layers if isinstance(layers, list) else [])
                if isinstance(layer, dict) and layer.get("mediaType") == SPEC_TYPE
            )
            text = await self._get(repository, "blobs", spec, "*/*")
            sets = await asyncio.to_thread(parse_spec, text)  # a large one takes a while
        except (StopIteration, KeyError):
            return f"its compatibility artifact {artifact} has no specification"
        except InvalidSpec as error:
            return f"its compatibility artifact {artifact} cannot be read: {error}"
        return refusal(sets, self._node)

    async def _referrers(self, repository: Repository, digest: str) -> Mapping[str, Any]:
        """The list of what refers to a digest (distribution spec, 'Listing Referrers')."""
        ask = self._source.ask
        try:
            wanted = {"artifactType": ARTIFACT_TYPE}
            _, body = await ask(repository, f"referrers/{digest}", OCI_INDEX, wanted)
        except FetchError as error:
            if error.status != 404:
                raise
            # A registry without the referrers API: the fall-back tag, if there is one.
            tag = digest.replace(":", "-", 1)
            try:
                _, body = await ask(repository, f"manifests/{tag}", OCI_INDEX, {})
            except FetchError as missing:
                if missing.status == 404:
                    return {}
                raise
        try:
            return _load(body)
        except InvalidSpec as error:
            raise FetchError(str(error)) from error

    async def _get(self, repository: Repository, kind: str, digest: object, accept: str) -> bytes:
        if not isinstance(digest, str) or not is_digest(digest):
            raise InvalidSpec(f"{kind}: is no digest")
        _, body = await self._source.ask(repository, f"{kind}/{digest}", accept, {})
        if len(body) > MAX_SPEC_BYTES:
            raise InvalidSpec(f"{kind}: has more than {MAX_SPEC_BYTES} bytes")
        if digest_of(body, like=digest) != digest:
            raise FetchError(f"{digest} was answered with other content")
        return body


def _newest(referrers: Mapping[str, Any]) -> str:
    """The digest of the newest compatibility artifact, as nfd takes it; empty if none."""
    listed = referrers.get("manifests")
    found = [
        (_created(entry.get("annotations")), str(entry.get("digest", "")))
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict) and entry.get("artifactType") == ARTIFACT_TYPE
    ]
    return max(found, default=("", ""))[1]


def _created(annotations: object) -> str:
    return str(annotations.get(_CREATED, "")) if isinstance(annotations, dict) else ""


def _load(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidSpec(f"the answer is not JSON ({type(error).__name__})") from error
    if not isinstance(document, dict):
        raise InvalidSpec("the answer is no JSON object")
    return document
