"""A client of the page without a browser, over a real socket of loopback."""

import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from tornado.netutil import bind_sockets

from metahub_addon.web_server import WebServer
from page.fake_hub import PASSWORD, FakeHub, make_server

# What a proxy that nobody named looks like.
FORWARDED = {"X-Forwarded-For": "192.0.2.1"}


class WebClient(httpx.AsyncClient):
    """Keeps cookies, and finds the token of a form as a browser would send it."""

    async def send_form(self, path: str, form: str = "", **fields: str) -> httpx.Response:
        """Get the form at a path and send it back, filled."""
        shown = await self.get(form or path)
        return await self.post(path, data={"_xsrf": token(shown), **fields})

    async def change(self, form: str, **fields: str) -> httpx.Response:
        """Send back the form of a machine type that is there."""
        shown = await self.get(form)
        found = re.search(r'name="shown" value="([^"]*)"', shown.text)
        assert found, shown.text
        data = {"_xsrf": token(shown), "shown": found[1], **fields}
        return await self.post(form.partition("?")[0], data=data)

    async def log_in(self, user: str = "qnib", password: str = PASSWORD) -> httpx.Response:
        return await self.send_form("/login", user=user, password=password)


def token(response: httpx.Response) -> str:
    found = re.search(r'name="_xsrf" value="([^"]+)"', response.text)
    assert found, response.text
    return found[1]


def basic(user: str = "qnib", password: str = PASSWORD) -> dict[str, str]:
    encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}


@asynccontextmanager
async def visiting(hub: FakeHub | None, reason: str = "") -> AsyncIterator[WebClient]:
    """The page on this test's own event loop, and a client of it."""
    server = make_server(hub, reason)
    sockets = bind_sockets(0, "127.0.0.1")
    server.add_sockets(sockets)
    assert isinstance(server, WebServer)
    try:
        url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
        async with WebClient(base_url=url, trust_env=False) as client:
            yield client
    finally:
        server.shut_down()
