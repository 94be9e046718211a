"""Ways that are not private, and nodes. test_web_page.py has the sessions."""

import pytest

from metahub_addon import web_hub_handler
from page.client import FORWARDED, basic, visiting
from page.fake_hub import FakeHub


@pytest.mark.parametrize("path", ["/", "/login", "/image?image=x", "/type", "/api/machine-types"])
async def test_what_others_could_read_is_refused(path: str) -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        response = await client.get(path, headers={**FORWARDED, **basic()})
        assert response.status_code == 403
        assert "metahub_web_certificate" in response.text
        assert "trusted_proxies" in response.text
        assert not client.cookies
    assert hub.addresses == []


async def test_a_password_that_others_could_read_is_not_judged() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        form = {"user": "qnib", "password": "x"}
        assert (await client.post("/login", data=form, headers=FORWARDED)).status_code == 403
    assert hub.addresses == []


@pytest.mark.parametrize(
    "header", ["Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Via"]
)
async def test_each_header_of_a_forwarder_counts(header: str) -> None:
    async with visiting(FakeHub()) as client:
        assert (await client.get("/login")).status_code == 200
        assert (await client.get("/login", headers={header: "x"})).status_code == 403


@pytest.mark.parametrize(("own", "status"), [(True, 200), (False, 403)])
async def test_any_address_of_this_host_is_private(
    monkeypatch: pytest.MonkeyPatch, own: bool, status: int
) -> None:
    """As at the registry's port; own_addresses tells which these are."""
    asked: list[str] = []

    def is_own_address(address: str) -> bool:
        asked.append(address)
        return own

    monkeypatch.setattr(web_hub_handler, "is_own_address", is_own_address)
    async with visiting(FakeHub()) as client:
        assert (await client.get("/login")).status_code == status
    assert set(asked) == {"127.0.0.1"}


@pytest.mark.parametrize("path", ["/", "/login", "/image", "/type", "/api/machine-types", "/nope"])
async def test_a_node_has_no_pages(path: str) -> None:
    async with visiting(None) as client:
        for method in ("GET", "HEAD", "DELETE"):
            response = await client.request(method, path)
            assert response.status_code in (404, 405, 403)
            assert "Log in" not in response.text
