"""The server: which request goes to which handler, within bounds."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream
from tornado.web import Application

from metahub_addon.web_api import API
from metahub_addon.web_connections import Connections
from metahub_addon.web_handler import Missing, log_request
from metahub_addon.web_pages import PAGES
from metahub_addon.web_parts import WebParts
from metahub_addon.web_probes import PROBES
from metahub_addon.web_styles import FOLDER, STYLES
from metahub_addon.web_type_pages import TYPE_PAGES
from metahub_addon.web_types_api import TYPES_API

_MAX_BODY = 64 * 1024
_MAX_HEADERS = 32 * 1024
_IDLE_SECONDS = 60
_FIRST_SECONDS = 10
_BODY_SECONDS = 20
# The page must not take the files that the proxy needs for pulls.
_MAX_CONNECTIONS = 256


class _Noted(HTTPMessageDelegate):
    """A request on its way in: tells when its headers are here, and when all of it is."""

    def __init__(
        self,
        target: HTTPMessageDelegate,
        has_begun: Callable[[], None],
        is_whole: Callable[[], None],
    ) -> None:
        self._target = target
        self._has_begun = has_begun
        self._is_whole = is_whole

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        self._has_begun()
        return self._target.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._target.data_received(chunk)

    def finish(self) -> None:
        self._is_whole()
        self._target.finish()

    def on_connection_close(self) -> None:
        self._target.on_connection_close()


class WebServer(HTTPServer):
    """Closes what is beyond the bounds: bytes, seconds and connections."""

    def initialize(  # type: ignore[override]
        self, application: Application, context: ssl.SSLContext | None
    ) -> None:
        """Called with what the class is called with (tornado's Configurable)."""
        super().initialize(
            application,
            ssl_options=context,
            max_body_size=_MAX_BODY,
            max_buffer_size=_MAX_BODY + _MAX_HEADERS,
            max_header_size=_MAX_HEADERS,
            idle_connection_timeout=_IDLE_SECONDS,
            body_timeout=_BODY_SECONDS,
        )
        self._open = Connections[IOStream](_MAX_CONNECTIONS)
        self._silent: dict[IOStream, asyncio.TimerHandle] = {}

    def handle_stream(self, stream: IOStream, address: tuple) -> None:  # type: ignore[type-arg]
        """A connection has come; where there are too many, another one has to go."""
        gone = self._open.add(stream, str(address[0]))
        if gone is not None:
            gone.close()
        loop = asyncio.get_running_loop()
        self._silent[stream] = loop.call_later(_FIRST_SECONDS, stream.close)
        super().handle_stream(stream, address)

    def start_request(self, server_conn: Any, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """A connection begins to wait for a request."""
        stream = server_conn.stream
        self._open.note(stream, is_answered=False)
        return _Noted(
            super().start_request(server_conn, request_conn),
            has_begun=lambda: self._has_spoken(stream),
            is_whole=lambda: self._open.note(stream, is_answered=True),
        )

    def on_close(self, server_conn: Any) -> None:
        """A connection has gone."""
        self._open.remove(server_conn.stream)
        self._has_spoken(server_conn.stream)
        super().on_close(server_conn)

    def _has_spoken(self, stream: IOStream) -> None:
        timer = self._silent.pop(stream, None)
        if timer is not None:
            timer.cancel()

    def shut_down(self) -> None:
        """Close the port and all connections."""
        self.stop()
        for connection in list(self._connections):
            connection.stream.close()


def make_application(parts: WebParts) -> Application:
    """All that is served. A node has no hub: there, pages and API are missing."""
    shared: dict[str, Any] = {"parts": parts}
    routes: list[Any] = [
        (path, handler, shared)
        for path, handler in (*PROBES, *STYLES, *PAGES, *TYPE_PAGES, *TYPES_API, *API)
    ]
    return Application(
        routes,
        default_handler_class=Missing,
        default_handler_args=shared,
        log_function=log_request,
        template_path=str(FOLDER),
        xsrf_cookies=True,
        xsrf_cookie_version=2,
        autoreload=False,
    )
