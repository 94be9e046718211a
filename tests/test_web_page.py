"""Who sees pages: sessions, forms from elsewhere, and ways that are not private."""

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import httpx
import pytest

from page.client import visiting
from page.fake_hub import PASSWORD, FakeHub

PRIVATE_PAGES = ("/", "/image", "/image?image=x", "/decisions", "/missing", "/type", "/remove")
PROXIED = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https"}


def behind_proxy() -> FakeHub:
    hub = FakeHub()
    hub.config = replace(hub.config, trusted_proxies=(ip_network("127.0.0.0/8"),))
    return hub


def set_cookies(response: httpx.Response) -> list[str]:
    return response.headers.get_list("Set-Cookie")


@pytest.mark.parametrize("path", PRIVATE_PAGES)
async def test_behind_the_login(path: str) -> None:
    async with visiting(FakeHub()) as client:
        response = await client.get(path, headers={"Host": "evil.example"})
    assert (response.status_code, response.headers["Location"]) == (303, "login")
    assert response.content == b""


async def test_cookies_on_loopback() -> None:
    async with visiting(FakeHub()) as client:
        form = await client.get("/login")
        response = await client.log_in()
    for cookie in (*set_cookies(form), *set_cookies(response)):
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Path=/" in cookie
        assert "Secure" not in cookie
        assert "Domain" not in cookie


async def test_cookies_behind_a_trusted_proxy() -> None:
    hub = behind_proxy()
    async with visiting(hub) as client:
        client.headers.update(PROXIED)
        form = await client.get("/login")
        cookies = form.headers["Set-Cookie"].partition(";")[0]
        data = {"_xsrf": client.cookies["_xsrf"], "user": "qnib", "password": PASSWORD}
        response = await client.post("/login", data=data, headers={"Cookie": cookies})
    assert response.status_code == 303
    assert any(cookie.startswith("__Host-metahub=2|") for cookie in set_cookies(response))
    assert all("Secure" in cookie for cookie in (*set_cookies(form), *set_cookies(response)))
    assert hub.addresses == ["198.51.100.7"]


async def test_a_trusted_proxy_that_was_asked_without_tls() -> None:
    async with visiting(behind_proxy()) as client:
        for headers in ({**PROXIED, "X-Forwarded-Proto": "http"}, {"X-Forwarded-For": "::1"}):
            response = await client.get("/login", headers=headers)
            assert response.status_code == 403
            assert "_xsrf" not in response.headers.get("Set-Cookie", "")


async def test_a_session_is_new_with_each_login() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        first = client.cookies["metahub"]
        client.cookies.delete("metahub")
        await client.log_in()
        assert client.cookies["metahub"] != first
        client.cookies.set("metahub", "fixed by somebody else", domain="127.0.0.1")
        assert (await client.get("/")).status_code == 303


async def test_logged_out_is_logged_out() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        cookie = client.cookies["metahub"]
        assert (await client.get("/logout")).headers["Location"] == "./"
        assert (await client.get("/")).status_code == 200
        response = await client.send_form("/logout", "/")
        assert response.headers["Location"] == "login"
        assert "metahub" not in client.cookies
        assert "You are logged out." in (await client.get("/login")).text
        kept = await client.get("/", headers={"Cookie": f"metahub={cookie}"})
        assert kept.status_code == 303


async def test_a_changed_password_logs_out() -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        hub.change_password("qnib")
        assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize("path", ["/login", "/logout", "/type", "/remove"])
async def test_forms_need_their_token(path: str) -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        for data in ({}, {"_xsrf": "x"}, {"_xsrf": "2|aaaa|bbbb|1"}):
            response = await client.post(path, data=data)
            assert response.status_code == 403
            assert "not sent from this page" in response.text
        assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
async def test_forms_of_other_sites(site: str) -> None:
    hub = FakeHub()
    async with visiting(hub) as client:
        await client.log_in()
        # Even with the right token, which a sibling's site could plant.
        client.headers["Sec-Fetch-Site"] = site
        response = await client.send_form("/remove", "/remove?name=type1", name="type1")
    assert response.status_code == 403
    assert "type1" in hub.config.types


async def test_a_notice_is_said_once() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        await client.send_form("/type", name="type9")
        assert "Machine type type9 is added." in (await client.get("/")).text
        assert "type9 is added" not in (await client.get("/")).text
        forged = await client.get("/", headers={"Cookie": "metahub_notice=Buy this"})
        assert "Buy this" not in forged.text


async def test_a_forged_form_takes_no_notice_away() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        await client.send_form("/type", name="type9")
        forged = await client.post("/type")
        assert forged.status_code == 403
        assert "Set-Cookie" not in forged.headers


async def test_a_broken_secret_lets_nobody_in(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hub = FakeHub()
    hub.config = replace(hub.config, secret_file=str(tmp_path / "gone"))
    async with visiting(hub) as client:
        client.cookies.set("metahub", "x", domain="127.0.0.1")
        response = await client.get("/")
    assert response.status_code == 503
    assert str(tmp_path) not in response.text
    assert f"secret_file: {tmp_path}/gone: No such file" in caplog.text


async def test_errors_are_pages() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        missing = await client.get("/type?name=nope")
        wrong = await client.put("/image", data={})
    assert missing.status_code == 404
    assert "<h1>Not possible</h1>" in missing.text
    assert 'aria-current="page">Machine types' in missing.text
    assert wrong.status_code == 403
