import pytest

from metahub_addon import web_api
from page.client import basic, visiting
from page.fake_hub import FakeHub, busy_hub


async def test_a_matrix() -> None:
    async with visiting(FakeHub()) as client:
        params = {"image": "qnib/bench:latest"}
        found = (await client.get("/api/matrix", params=params, headers=basic())).json()
        missing = await client.get("/api/matrix", headers=basic())
        unknown = await client.get("/api/matrix?image=nope", headers=basic())
    assert found["image"] == "qnib/bench:latest"
    assert found["digest"].startswith("sha256:12ab")
    by_type = {one["machine_type"]: one for one in found["decisions"]}
    chosen = [child for child in by_type["type4"]["children"] if child["chosen"]]
    assert chosen[0]["requires"] == ["cpu:broadwell", "nvcap:5.2"]
    assert (missing.status_code, missing.json()) == (400, {"error": "image: is missing"})
    assert unknown.status_code == 404
    assert unknown.json() == {"error": "nope: the registry has no such image"}


async def test_a_matrix_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_api, "_MAX_VERDICTS", 29)
    async with visiting(FakeHub()) as client:
        response = await client.get("/api/matrix?image=qnib/bench:latest", headers=basic())
    assert response.status_code == 400
    assert "has too many images" in response.json()["error"]


async def test_decisions_and_gaps() -> None:
    async with visiting(busy_hub()) as client:
        made = (await client.get("/api/decisions", headers=basic())).json()["decisions"]
        gaps = (await client.get("/api/gaps", headers=basic())).json()["gaps"]
        none = (await client.get("/api/gaps", headers=basic("nobody"))).json()
        others = (await client.get("/api/decisions", headers=basic("ops"))).json()["decisions"]
    assert made[0]["image"] == "qnib/gpu-only:v1"
    assert made[0]["account"] == "ops"
    assert made[0]["chosen"] is None
    assert {one["account"] for one in others} == {None}
    assert made[0]["when"] == "2025-11-20T10:13:18+00:00"
    assert gaps[1] == {
        "image": "qnib/bench:2019",
        "machine_type": "type2",
        "wanted": "",
        "count": 13,
        "first": "2025-11-20T09:30:00+00:00",
        "last": "2025-11-20T12:30:00+00:00",
    }
    assert none == {"gaps": []}
