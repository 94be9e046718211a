"""What every answer has, whoever asks for whatever."""

import logging
from dataclasses import replace

import pytest

from page.client import FORWARDED, basic, visiting
from page.fake_hub import FakeHub

PATHS = (
    *("/", "/login", "/logout", "/image", "/decisions", "/missing", "/type", "/remove", "/nope"),
    *("/style.css", "/healthz", "/readyz", "/metrics", "/api/machine-types", "/api/nope", "/a/b"),
)


@pytest.mark.parametrize("path", PATHS)
async def test_headers(path: str) -> None:
    async with visiting(FakeHub()) as client:
        for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"):
            headers = (await client.request(method, path)).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "frame-ancestors 'none'" in policy
            assert "form-action 'self'" in policy
            assert "base-uri 'none'" in policy
            assert "unsafe" not in policy
            assert "script-src" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert "Server" not in headers
            assert "WWW-Authenticate" not in headers
            assert "Access-Control-Allow-Origin" not in headers
            cached = path == "/style.css" and method == "GET"
            assert headers["Cache-Control"] == ("public, max-age=3600" if cached else "no-store")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_probes_answer_everywhere(path: str) -> None:
    async with visiting(FakeHub()) as client:
        assert (await client.get(path, headers=FORWARDED)).status_code == 200


async def test_what_fails_here_is_logged_and_not_shown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: FakeHub) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(FakeHub, "refresh", fail)
    async with visiting(FakeHub()) as client:
        page = await client.get("/login")
        api = await client.get("/api/gaps", headers=basic())
    for response in (page, api):
        assert response.status_code == 500
        assert "secret" not in response.text
    assert api.json() == {"error": "Something failed here; the hub's log says what."}
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [
        "metahub_web: GET /login failed",
        "metahub_web: GET /api/gaps failed",
    ]


@pytest.mark.parametrize("path", ["/", "/login", "/decisions"])
async def test_without_its_secret_the_page_says_why_no_one_can_log_in(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    hub = FakeHub()
    hub.config = replace(hub.config, secret_file="/nowhere/secret")
    async with visiting(hub) as client:
        page = await client.get(path)
        assert (await client.get("/api/machine-types", headers=basic())).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
    assert page.status_code == 503
    assert "No one can log in here for now" in page.text
    assert "secret_file" in page.text
    assert "/nowhere" not in page.text
    said = [record for record in caplog.records if record.name == "metahub"]
    assert [(one.levelname, one.getMessage()) for one in said] == [
        ("WARNING", "metahub_web: secret_file: /nowhere/secret: No such file or directory")
    ]


async def test_nothing_of_a_request_reaches_the_log_raw(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with visiting(FakeHub()) as client:
        await client.get("/%1b[31m?image=query-of-mine", headers=basic(password="my-password"))
        await client.log_in(password="my-password")
    ours = [record for record in caplog.records if record.name in ("metahub", "tornado.access")]
    assert ours
    text = "\n".join(record.getMessage() for record in ours)
    assert "\x1b" not in text
    assert "query-of-mine" not in text
    assert "my-password" not in caplog.text
