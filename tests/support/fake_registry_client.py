"""A registry's client that answers from memory, for HubRegistry and for its Upstream."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from metahub_addon.digest import digest_of
from metahub_addon.media_types import DOCKER_LIST, DOCKER_MANIFEST
from metahub_addon.upstream import FetchError, Registry, Repository

REPOSITORY = Repository(
    registry=Registry(scheme="https", host="r.test", port=443, authority="r.test", sni="r.test"),
    name="a/b",
)
# What no client of a hub may see of a registry's answer.
SECRETS = {
    "www-authenticate": 'Bearer realm="https://auth.test/token",scope="repository:secret:pull"',
    "set-cookie": "session=1",
    "x-internal": "node-7",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeAnswer:
    """An answer; the headers' names are in lower case."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class FakeRegistryClient:
    """Has `documents` by digest and `tags`; `answers` come first, by `HEAD latest`.

    Notes each request in `asked`; those in `held` (empty: all) wait for `gate`; a FetchError
    among `answers` is raised.
    """

    documents: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    answers: dict[str, FakeAnswer | FetchError] = field(default_factory=dict)
    gate: asyncio.Event | None = None
    held: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    accepted: list[str] = field(default_factory=list)
    repositories: list[Repository] = field(default_factory=list)

    def put(self, body: bytes, media_type: str = DOCKER_MANIFEST, tag: str = "") -> str:
        """Keep a document; its digest."""
        digest = digest_of(body)
        self.documents[digest] = media_type, body
        if tag:
            self.tags[tag] = digest
        return digest

    def put_image(self, name: str, tag: str = "") -> str:
        """Keep a manifest with a name in it; its digest."""
        return self.put(json.dumps({"schemaVersion": 2, "name": name}).encode(), tag=tag)

    def put_index(
        self, *variants: Sequence[str], tag: str = "", media_type: str = DOCKER_LIST
    ) -> tuple[str, list[str]]:
        """Keep an index of linux/amd64 images, one for each list of features; the digests."""
        digests = [self.put_image(f"{at} {features}") for at, features in enumerate(variants)]
        children = [
            {
                "mediaType": DOCKER_MANIFEST,
                "digest": digest,
                "size": len(self.documents[digest][1]),
                "platform": {"os": "linux", "architecture": "amd64", "features": list(features)},
            }
            for digest, features in zip(digests, variants, strict=True)
        ]
        index = {"schemaVersion": 2, "mediaType": media_type, "manifests": children}
        return self.put(json.dumps(index).encode(), media_type, tag), digests

    async def request(
        self, repository: Repository, method: str, path: str, *, accept: str = ""
    ) -> FakeAnswer:
        reference = path.removeprefix("manifests/")
        self.asked.append(f"{method} {reference}")
        self.accepted.append(accept)
        self.repositories.append(repository)
        if self.gate and (not self.held or self.asked[-1] in self.held):
            await self.gate.wait()
        told = self.answers.get(f"{method} {reference}")
        if isinstance(told, FetchError):
            raise told
        return told or self._own(method, reference)

    def _own(self, method: str, reference: str) -> FakeAnswer:
        digest = self.tags.get(reference, reference)
        if digest not in self.documents:
            body = b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}'
            headers = {"content-type": "application/json", **SECRETS}
            return FakeAnswer(status=404, headers=headers, body=b"" if method == "HEAD" else body)
        media_type, body = self.documents[digest]
        named = {
            "content-type": f"{media_type}; charset=utf-8",
            "docker-content-digest": digest,
            "content-length": str(len(body)),
            "etag": f'"{digest}"',
        }
        shown = b"" if method == "HEAD" else body
        return FakeAnswer(headers={**named, **SECRETS}, body=shown)

    async def get(self, repository: Repository, digest: str, accept: str) -> tuple[str, bytes]:
        answer = await self.request(repository, "GET", f"manifests/{digest}", accept=accept)
        if answer.status != 200:
            raise FetchError(f"the registry answered {answer.status}", answer.status)
        return answer.headers["content-type"], answer.body
