"""The server: which request goes to which handler, within bounds."""

import ssl
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream
from tornado.web import Application

from metahub_addon.web_api import API
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
_BODY_SECONDS = 20
# The page must not take the files that the proxy needs for pulls.
_MAX_CONNECTIONS = 256


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
        self._open = 0

    def handle_stream(self, stream: IOStream, address: tuple) -> None:  # type: ignore[type-arg]
        """A connection has come."""
        if self._open >= _MAX_CONNECTIONS:
            stream.close()
            return
        self._open += 1
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        """A connection has gone."""
        self._open -= 1
        super().on_close(server_conn)

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
