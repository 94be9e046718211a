"""The one fake: a Fetcher that answers from memory."""

import asyncio
from dataclasses import dataclass, field

from metahub_addon.media_types import DOCKER_MANIFEST
from metahub_addon.upstream import FetchError, Registry, Repository

REGISTRY = Registry(
    scheme="https", host="192.0.2.1", port=443, authority="r.test", sni="r.test", verified=True
)
REPOSITORY = Repository(registry=REGISTRY, name="a/b", authorization="Bearer one")
BODY = b'{"schemaVersion": 2}'


@dataclass
class FakeFetcher:
    """Answers with `documents` by digest, else with `body`; counts; waits for `gate`."""

    body: bytes = BODY
    media_type: str = f"{DOCKER_MANIFEST}; charset=utf-8"
    error: str = ""
    gate: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)
    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    async def get(self, repository: Repository, digest: str, accept: str) -> tuple[str, bytes]:
        self.asked.append(repository.authorization)
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise FetchError(self.error)
        return self.documents.get(digest, (self.media_type, self.body))
