"""Ways that are not private, and nodes. test_web_page.py has the sessions."""

import pytest

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


@pytest.mark.parametrize("path", ["/", "/login", "/image", "/type", "/api/machine-types", "/nope"])
async def test_a_node_has_no_pages(path: str) -> None:
    async with visiting(None) as client:
        for method in ("GET", "HEAD", "DELETE"):
            response = await client.request(method, path)
            assert response.status_code in (404, 405, 403)
            assert "Log in" not in response.text
