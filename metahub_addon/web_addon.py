"""mitmproxy hooks: the metrics and probes of a node or hub, and a hub's page and API."""

import asyncio
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from metahub_addon import __version__
from metahub_addon.metrics import Gauge, Metrics
from metahub_addon.web_certificate import (
    InvalidCertificate,
    read_certificate,
    renew_certificate,
)
from metahub_addon.web_hub import WebHub
from metahub_addon.web_listen import InvalidListen, Listen, parse_listen
from metahub_addon.web_parts import WebParts
from metahub_addon.web_secret import SecretError
from metahub_addon.web_server import WebServer, make_application
from metahub_addon.web_sockets import open_sockets

logger = logging.getLogger("metahub")

_OPTIONS = frozenset({"metahub_web", "metahub_web_certificate"})


class Web:
    """Serves on mitmproxy's event loop.

    `counts` is the addon's, `hub` gives the hub (None: a node, which has no page), and
    `is_ready` says why the node is not ready (empty: it is).
    """

    def __init__(
        self,
        counts: Counter[str],
        hub: Callable[[], WebHub | None],
        is_ready: Callable[[], str],
    ) -> None:
        gauges = (
            Gauge(
                "metahub_machine_types",
                "Machine types in the hub's file.",
                lambda: len(found.config.types) if (found := hub()) else None,
            ),
        )
        metrics = Metrics(__version__, counts, gauges)
        self._parts = WebParts(hub=hub, is_ready=is_ready, metrics=metrics)
        self._listen: Listen | None = None
        self._certificate = ""
        self._context: ssl.SSLContext | None = None
        self._sockets: list[socket.socket] = []
        self._server: WebServer | None = None
        self._is_running = False
        self._renewal: asyncio.Task[None] | None = None

    def load(self, loader: Loader) -> None:
        """Declare the options."""
        loader.add_option(
            "metahub_web",
            str,
            "",
            "host:port of the metrics and probes, and of a hub's page. Empty: off.",
        )
        loader.add_option(
            "metahub_web_certificate",
            str,
            "",
            "PEM file with key and chain for TLS on metahub_web. Empty: plain HTTP.",
        )

    def configure(self, updated: set[str]) -> None:
        """Open the port; raises OptionsError if it is taken, then all stays as it was."""
        if not updated & _OPTIONS:
            return
        listen, certificate = _listen(ctx.options.metahub_web), ctx.options.metahub_web_certificate
        context = _read_certificate(certificate) if certificate else None
        if (listen, certificate) == (self._listen, self._certificate):
            return  # mitmproxy comes back to it after an error
        if listen == self._listen:
            self._close()
        sockets = _bind(listen) if listen else []
        self._close()
        self._listen, self._sockets = listen, sockets
        self._certificate, self._context = certificate, context
        if self._is_running:
            self._serve()

    def running(self) -> None:
        """Begin to serve."""
        self._is_running = True
        self._serve()

    def done(self) -> None:
        """Close the port."""
        self._is_running = False
        self._close()

    def _serve(self) -> None:
        if self._listen is None:
            return
        try:
            self._parts.check()
        except SecretError as error:
            # No error: at one that is logged now mitmproxy would end, and with it all pulls.
            logger.warning("metahub_web: no one can log in: %s", error)
        self._server = WebServer(make_application(self._parts), self._context)
        self._server.add_sockets(self._sockets)
        if self._context is not None:
            renewal = renew_certificate(self._context, self._certificate)
            self._renewal = asyncio.get_running_loop().create_task(renewal)
        scheme = "https" if self._context else "http"
        for one in self._sockets:
            host, port = one.getsockname()[:2]
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            logger.info("metahub_web: %s://%s", scheme, where)

    def _close(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._server is not None:
            self._server.shut_down()
            self._server = None
        else:
            for one in self._sockets:
                one.close()
        self._listen, self._sockets, self._certificate = None, [], ""


def _listen(text: str) -> Listen | None:
    try:
        return parse_listen(text) if text else None
    except InvalidListen as error:
        raise exceptions.OptionsError(f"metahub_web: {error}") from None


def _bind(listen: Listen) -> list[socket.socket]:
    try:
        return open_sockets(listen)
    except OSError as error:
        what = f"{listen.host}:{listen.port}: {error.strerror}"
        raise exceptions.OptionsError(f"metahub_web: {what}") from None


def _read_certificate(path: str) -> ssl.SSLContext:
    try:
        return read_certificate(path)
    except InvalidCertificate as error:
        raise exceptions.OptionsError(f"metahub_web_certificate: {error}") from None
