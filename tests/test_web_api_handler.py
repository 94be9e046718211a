import pytest

from page.client import basic, visiting
from page.fake_hub import FakeHub


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic !", "Basic /w==", "Bearer abc", "Basic " + "A" * 5000, "Basic OnB3"],
)
async def test_without_credentials(header: str) -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        headers = {"Authorization": header} if header else {}
        response = await client.get("/api/gaps", headers=headers)
    assert (response.status_code, response.json()) == (401, {"error": "send Basic credentials"})
    assert "WWW-Authenticate" not in response.headers
    assert hub.addresses == []


async def test_wrong_credentials() -> None:
    async with visiting(FakeHub()) as client:
        answers = [await client.get("/api/gaps", headers=basic("qnib", "no")) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert answers[0].json() == {"error": "wrong user or password"}
    assert answers[2].headers["Retry-After"] == "4"


async def test_a_session_is_no_credential_here() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        assert (await client.get("/api/gaps")).status_code == 401
        assert (await client.delete("/api/machine-types/type1")).status_code == 401


async def test_other_methods_and_paths() -> None:
    async with visiting(FakeHub()) as client:
        post = await client.post("/api/machine-types", headers=basic())
        missing = await client.get("/api/nope")
        bare = await client.get("/api")
    assert (post.status_code, post.json()) == (405, {"error": "That can't be done here."})
    assert (missing.status_code, bare.status_code) == (404, 404)
    assert missing.json() == {"error": "There is no such page."}
