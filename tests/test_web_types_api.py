import json
from dataclasses import replace

import pytest

from page.client import basic, visiting
from page.fake_hub import FakeHub

JSON = {"Content-Type": "application/json", **basic()}


async def test_types() -> None:
    async with visiting(FakeHub()) as client:
        everything = (await client.get("/api/machine-types", headers=basic())).json()
        own = (await client.get("/api/machine-types", headers=basic("ops"))).json()
        one = await client.get("/api/machine-types/type1", headers=basic())
        others = await client.get("/api/machine-types/type1", headers=basic("ops"))
    type4 = {
        "machine_type": "type4",
        "platform": "linux/amd64",
        "features": ["cpu:broadwell", "nvcap:5.2"],
    }
    assert everything["account"] == "qnib"
    assert {**type4, "login": "qnib-type4"} in everything["types"]
    assert own == {"account": "ops", "types": [{**type4, "login": "ops"}]}
    assert one.json()["login"] == "qnib-type1"
    assert (others.status_code, others.json()) == (
        404,
        {"error": "there is no machine type type1"},
    )


async def test_put_and_delete() -> None:
    hub = FakeHub()
    body = json.dumps({"platform": "linux/amd64", "features": ["cpu:zen3"]})
    path = "/api/machine-types/zen3"
    async with visiting(hub) as client:
        added = await client.put(path, content=body, headers=JSON)
        changed = await client.put(path, content=body.replace("zen3", "zen4"), headers=JSON)
        removed = await client.delete(path, headers=basic())
        again = await client.delete(path, headers=basic())
    expected = {"machine_type": "zen3", "platform": "linux/amd64", "login": "qnib-zen3"}
    assert (added.status_code, added.json()) == (201, {**expected, "features": ["cpu:zen3"]})
    assert (changed.status_code, changed.json()) == (200, {**expected, "features": ["cpu:zen4"]})
    assert (removed.status_code, removed.content) == (204, b"")
    assert again.status_code == 404
    assert "zen3" not in hub.config.types


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"", "the body is not JSON"),
        (b"\xff", "the body is not JSON"),
        (b"[" * 20000, "the body is not JSON"),
        (b"[]", "the body is not an object"),
        (b'{"name": "other"}', "name: is not x, as in the path"),
        (b'{"machine_type": "other"}', "name: is not x, as in the path"),
        (b'{"features": ["a b"]}', "features[0]: 'a b' holds a space"),
        (b'{"features": "cpu:zen3"}', "features: is not a list"),
        (b'{"nope": 1}', "nope: unknown key"),
    ],
)
async def test_bodies_that_are_no_machine_type(body: bytes, error: str) -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        response = await client.put("/api/machine-types/x", content=body, headers=JSON)
    assert response.status_code == 400
    assert error in response.json()["error"]
    assert "x" not in hub.config.types


async def test_the_type_of_a_body() -> None:
    async with visiting(FakeHub()) as client:
        for kind in ("", "text/plain", "application/x-www-form-urlencoded"):
            headers = {**JSON, "Content-Type": kind}
            response = await client.put("/api/machine-types/x", content=b"{}", headers=headers)
            assert response.status_code == 415
        headers = {**JSON, "Content-Type": "Application/JSON; charset=utf-8"}
        response = await client.put("/api/machine-types/x", content=b"{}", headers=headers)
        assert response.status_code == 201


async def test_rights() -> None:
    headers = {"Content-Type": "application/json", **basic("ops")}
    async with visiting(FakeHub()) as client:
        put = await client.put("/api/machine-types/type4", content=b"{}", headers=headers)
        delete = await client.delete("/api/machine-types/type4", headers=headers)
    for response in (put, delete):
        assert (response.status_code, response.json()) == (
            403,
            {"error": "ops is no administrator"},
        )


async def test_what_the_hub_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    async with visiting(FakeHub(read_only=True)) as client:
        put = await client.put("/api/machine-types/x", content=b"{}", headers=JSON)
        delete = await client.delete("/api/machine-types/type1", headers=JSON)
    assert [put.status_code, delete.status_code] == [409, 409]
    async with visiting(FakeHub()) as client:
        named = await client.delete("/api/machine-types/type2", headers=JSON)
        assert (named.status_code, "networks[0]" in named.text) == (409, True)

        async def refuse(self: FakeHub, account: object, what: object, shown: object) -> None:
            self._check(self.config.accounts["ops"])

        monkeypatch.setattr(FakeHub, "put_type", refuse)
        put = await client.put("/api/machine-types/x", content=b"{}", headers=JSON)
        assert put.status_code == 403


async def test_a_replica_that_was_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(self: FakeHub, account: object, what: object, shown: object) -> None:
        """Another one has removed it at once."""

    monkeypatch.setattr(FakeHub, "put_type", nothing)
    async with visiting(FakeHub()) as client:
        response = await client.put("/api/machine-types/x", content=b"{}", headers=JSON)
    assert response.status_code == 409


async def test_a_type_that_is_not_the_administrators_own() -> None:
    hub = FakeHub()
    accounts = dict(hub.config.accounts)
    accounts["ops"] = replace(accounts["qnib"], user="ops", types=())
    hub.config = replace(hub.config, accounts=accounts)
    async with visiting(hub) as client:
        headers = {**JSON, **basic("ops")}
        monkey = await client.get("/api/machine-types/type1", headers=headers)
    assert monkey.json()["login"] is None


async def test_changes_that_cross_each_other() -> None:
    hub = FakeHub()
    path, body = "/api/machine-types/type1", json.dumps({"features": ["cpu:zen3"]})
    async with visiting(hub) as client:
        seen = (await client.get(path, headers=basic())).headers["ETag"]
        hub.change_type("type1", "cpu:zen4")
        theirs = hub.config.types["type1"]
        late = {**JSON, "If-Match": seen}
        put = await client.put(path, content=body, headers=late)
        delete = await client.delete(path, headers=late)
        assert hub.config.types["type1"] == theirs
        now = (await client.get(path, headers=basic())).headers["ETag"]
        done = await client.put(path, content=body, headers={**JSON, "If-Match": now})
        last = await client.delete(path, headers={**JSON, "If-Match": done.headers["ETag"]})
    for response in (put, delete):
        assert response.status_code == 409
        assert "type1 is another by now, or has gone" in response.json()["error"]
    assert seen != now != done.headers["ETag"]
    assert (done.status_code, last.status_code) == (200, 204)


@pytest.mark.parametrize(
    ("path", "wanted", "status"),
    [
        ("type1", "*", 200),
        ("type1", '"other", {tag}', 200),
        ("type1", "", 409),
        ("type1", '"other"', 409),
        ("type1", "W/{tag}", 409),  # a weak one never matches
        ("x", "*", 409),
        ("x", '""', 409),
    ],
)
async def test_if_match(path: str, wanted: str, status: int) -> None:
    async with visiting(FakeHub()) as client:
        tag = (await client.get("/api/machine-types/type1", headers=basic())).headers["ETag"]
        headers = {**JSON, "If-Match": wanted.format(tag=tag)}
        response = await client.put(f"/api/machine-types/{path}", content=b"{}", headers=headers)
    assert response.status_code == status


async def test_a_change_in_between_is_found_by_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    compare = FakeHub._compare

    def late(self: FakeHub, name: str, shown: str | None) -> None:
        self.change_type(name, "cpu:zen4")
        compare(self, name, shown)

    monkeypatch.setattr(FakeHub, "_compare", late)
    headers = {**JSON, "If-Match": "*"}
    async with visiting(FakeHub()) as client:
        put = await client.put("/api/machine-types/type1", content=b"{}", headers=headers)
        delete = await client.delete("/api/machine-types/type2", headers=headers)
    for response in (put, delete):
        assert (response.status_code, "is another by now" in response.text) == (409, True)
