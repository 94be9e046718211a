import asyncio

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metahub_addon import web_probes
from page.client import visiting
from page.fake_hub import FakeHub


@pytest.mark.parametrize("hub", [None, FakeHub()])
async def test_well(hub: FakeHub | None) -> None:
    async with visiting(hub) as client:
        for path, text in (("/healthz", "ok\n"), ("/readyz", "ready\n")):
            response = await client.get(path)
            assert (response.status_code, response.text) == (200, text)
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
        metrics = await client.get("/metrics")
    families = {family.name for family in text_string_to_metric_families(metrics.text)}
    assert "metahub_manifests" in families


@pytest.mark.parametrize(
    ("node", "hub", "reason"),
    [
        ("the CA is gone", "", "the CA is gone"),
        ("", "no\x1b registry", "no\\x1b registry"),
        ("a", "b", "a"),
    ],
)
async def test_not_ready(node: str, hub: str, reason: str) -> None:
    async with visiting(FakeHub(not_ready=hub), node) as client:
        ready = await client.get("/readyz")
        alive = await client.get("/healthz")
    assert (ready.status_code, ready.text) == (503, f"{reason}\n")
    assert alive.status_code == 200


async def test_a_hub_that_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(self: FakeHub) -> str:
        await asyncio.Event().wait()
        return ""

    monkeypatch.setattr(web_probes, "_READY_SECONDS", 0.05)
    monkeypatch.setattr(FakeHub, "is_ready", never)
    async with visiting(FakeHub()) as client:
        response = await client.get("/readyz")
    assert (response.status_code, response.text) == (503, "no answer within 0.05 s\n")


async def test_nothing_can_be_sent() -> None:
    async with visiting(None) as client:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await client.post(path)).status_code in (403, 405)
