import asyncio
from dataclasses import replace

import pytest

from metahub_addon.digest import digest_of
from metahub_addon.index import MAX_MANIFEST_BYTES
from metahub_addon.media_types import DOCKER_MANIFEST, OCI_MANIFEST
from metahub_addon.upstream import Document, FetchError, Repository, Upstream, registry_at
from support.fake_fetcher import BODY, REGISTRY, REPOSITORY, FakeFetcher

DIGEST = digest_of(BODY)


def upstream(fetcher: FakeFetcher, cache_bytes: int = 10_000, seconds: float = 5) -> Upstream:
    return Upstream(fetcher, cache_bytes, seconds)


async def test_a_document_is_fetched_once() -> None:
    fetcher = FakeFetcher()
    source = upstream(fetcher)
    for _ in range(3):
        found = await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST, len(BODY))
        assert found == Document(DIGEST, DOCKER_MANIFEST, BODY)
    assert len(fetcher.asked) == 1


async def test_what_was_put_is_not_fetched() -> None:
    fetcher = FakeFetcher()
    source = upstream(fetcher)
    source.put(REPOSITORY, Document(DIGEST, DOCKER_MANIFEST, BODY))
    await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)
    assert fetcher.asked == []


async def test_what_is_at_hand_is_known_without_a_fetch() -> None:
    fetcher = FakeFetcher()
    source = upstream(fetcher)
    assert source.known(REPOSITORY, DIGEST) is None
    found = await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)
    assert source.known(REPOSITORY, DIGEST) is found
    assert source.known(replace(REPOSITORY, name="a/c"), DIGEST) is None
    assert source.known(REPOSITORY, "sha256:no") is None
    assert len(fetcher.asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        replace(REPOSITORY, name="a/c"),
        replace(REPOSITORY, namespace="docker.io"),
        replace(REPOSITORY, registry=replace(REGISTRY, sni="evil.test")),
        replace(REPOSITORY, registry=replace(REGISTRY, authority="other.test")),
        replace(REPOSITORY, registry=replace(REGISTRY, port=444)),
        replace(REPOSITORY, registry=replace(REGISTRY, scheme="http")),
        replace(REPOSITORY, registry=replace(REGISTRY, verified=False)),
    ],
)
async def test_another_repository_has_a_cache_of_its_own(other: Repository) -> None:
    fetcher = FakeFetcher()
    source = upstream(fetcher)
    for repository in (REPOSITORY, other):
        await source.fetch(repository, DIGEST, DOCKER_MANIFEST)
    assert len(fetcher.asked) == 2


def test_the_address_counts_only_where_nothing_vouches_for_the_name() -> None:
    moved = replace(REGISTRY, host="192.0.2.9")
    assert moved.identity == REGISTRY.identity
    for change in ({"verified": False}, {"scheme": "http"}, {"sni": ""}):
        one, other = (replace(registry, **change) for registry in (REGISTRY, moved))
        assert one.identity != other.identity


@pytest.mark.parametrize(
    ("scheme", "host", "port", "authority", "sni"),
    [
        ("https", "r.test", 443, "r.test", "r.test"),
        ("https", "r.test", 5000, "r.test:5000", "r.test"),
        ("https", "r.test", 80, "r.test:80", "r.test"),
        ("https", "::1", 443, "[::1]", "::1"),
        ("http", "r.test", 80, "r.test", ""),
        ("http", "::1", 443, "[::1]:443", ""),
    ],
)
def test_the_registry_of_a_url(scheme: str, host: str, port: int, authority: str, sni: str) -> None:
    for verified in (True, False):
        found = registry_at(scheme, host, port, verified)
        assert (found.scheme, found.host, found.port, found.via) == (scheme, host, port, "")
        assert (found.authority, found.sni) == (authority, sni)
        assert found.verified is (verified and scheme == "https")


def test_credentials_show_nowhere() -> None:
    assert "Bearer" not in repr(REPOSITORY)
    assert "Bearer" not in str(REPOSITORY.identity)


async def test_those_who_wait_share_a_fetch_by_credentials() -> None:
    fetcher = FakeFetcher(gate=asyncio.Event())
    source = upstream(fetcher)
    other = replace(REPOSITORY, authorization="Bearer two")
    waiting = [
        asyncio.create_task(source.fetch(repository, DIGEST, DOCKER_MANIFEST))
        for repository in (REPOSITORY, other, REPOSITORY, other)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert fetcher.gate
    fetcher.gate.set()
    found = await asyncio.gather(*waiting[1:])
    assert {document.digest for document in found} == {DIGEST}
    assert sorted(fetcher.asked) == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    ("fetcher", "digest", "accept", "size", "says"),
    [
        (FakeFetcher(error="answered 500"), DIGEST, DOCKER_MANIFEST, None, "answered 500"),
        (FakeFetcher(body=b"{}"), DIGEST, DOCKER_MANIFEST, None, "other content"),
        (FakeFetcher(), DIGEST, OCI_MANIFEST, None, "expected application/vnd.oci"),
        (FakeFetcher(), DIGEST, DOCKER_MANIFEST, 3, "the index says 3"),
        (FakeFetcher(), "sha256:no", DOCKER_MANIFEST, None, "not a digest"),
        (
            FakeFetcher(body=b" " * (MAX_MANIFEST_BYTES + 1)),
            DIGEST,
            DOCKER_MANIFEST,
            None,
            "has more than",
        ),
    ],
)
async def test_failures(
    fetcher: FakeFetcher, digest: str, accept: str, size: int | None, says: str
) -> None:
    with pytest.raises(FetchError, match=says):
        await upstream(fetcher).fetch(REPOSITORY, digest, accept, size)


async def test_a_failure_is_not_kept() -> None:
    fetcher = FakeFetcher(error="once")
    source = upstream(fetcher)
    with pytest.raises(FetchError):
        await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)
    fetcher.error = ""
    assert (await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)).body == BODY


async def test_a_fetch_ends_after_its_time() -> None:
    source = upstream(FakeFetcher(gate=asyncio.Event()), seconds=0.01)
    with pytest.raises(FetchError, match=r"no answer within 0\.01 s"):
        await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)


async def test_a_fetch_nobody_waits_for_ends_quietly() -> None:
    gate = asyncio.Event()
    source = upstream(FakeFetcher(gate=gate, error="late"))
    waiting = asyncio.create_task(source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    gate.set()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        await asyncio.wait([task])
    assert waiting.cancelled()


async def test_a_fetch_that_the_loop_cancels_is_forgotten() -> None:
    source = upstream(fetcher := FakeFetcher(gate=asyncio.Event()))
    waiting = asyncio.create_task(source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST))
    await asyncio.sleep(0)
    for task in asyncio.all_tasks() - {asyncio.current_task(), waiting}:
        task.cancel()
    await asyncio.wait([waiting])
    fetcher.gate = None
    assert (await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)).digest == DIGEST


async def test_the_cache_is_bounded_in_bytes() -> None:
    fetcher = FakeFetcher()
    source = upstream(fetcher, cache_bytes=100)  # less than one entry's overhead
    source.put(REPOSITORY, Document(DIGEST, DOCKER_MANIFEST, BODY))
    for _ in range(2):
        await source.fetch(REPOSITORY, DIGEST, DOCKER_MANIFEST)
    assert len(fetcher.asked) == 2
