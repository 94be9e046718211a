"""mitmproxy hooks: tell the node's firewall and systemd that the proxy is well."""

import asyncio
import logging
import os
import resource
from contextlib import suppress
from itertools import count

from mitmproxy import ctx, exceptions
from mitmproxy.addonmanager import Loader

from metahub_addon.client_hello_bound import bound_client_hello
from metahub_addon.firewall import Firewall
from metahub_addon.idle_addons import calm_garbage_collector, remove_idle_addons
from metahub_addon.registries import InvalidRegistry, parse_registries
from metahub_addon.self_check import UnwellError, check_handshake
from metahub_addon.service_manager import ServiceManager

logger = logging.getLogger("metahub")

_BEAT_SECONDS = 1.0
_BEATS_BETWEEN_CHECKS = 30
# Then it is for the service manager to start it anew.
_PATIENCE_BEATS = 60
# A proxy that soon cannot accept a connection is not well: each takes two descriptors.
_FILES_IN_USE = 0.9


class Node:
    """Beats once a second, from the event loop: if that hangs, so do the pulls."""

    def __init__(self) -> None:
        self._firewall: Firewall | None = None
        self._ports: tuple[int, ...] = ()
        self._heard: bool | None = None
        self._beats: asyncio.Task[None] | None = None
        self._manager = ServiceManager(os.environ.get("NOTIFY_SOCKET", ""))
        self._problem = "the proxy is starting"

    def load(self, loader: Loader) -> None:
        """Declare the options."""
        loader.add_option(
            "metahub_lean",
            bool,
            False,
            "Remove mitmproxy's addons that have nothing to do at the start, for speed.",
        )
        loader.add_option(
            "metahub_firewall_port", int, 0, "UDP port of the signals to the firewall. 0: off."
        )

    def configure(self, updated: set[str]) -> None:
        """Open the port for signals; raises OptionsError if it is taken."""
        if "metahub_registries" in updated:
            with suppress(InvalidRegistry):  # the addon that owns the option says so
                self._ports = parse_registries(ctx.options.metahub_registries).ports
        if "metahub_firewall_port" in updated:
            self._open(ctx.options.metahub_firewall_port)

    def _open(self, port: int) -> None:
        if self._firewall is not None and self._firewall.port == port:
            return  # mitmproxy comes back to it after an error
        try:
            firewall = Firewall(port) if port else None
        except (OSError, OverflowError) as error:
            raise exceptions.OptionsError(f"metahub_firewall_port: {port}: {error}") from None
        if self._firewall is not None:
            self._firewall.close()
        self._firewall, self._heard = firewall, None

    def running(self) -> None:
        """All listeners are up: say so, and begin to beat."""
        bound_client_hello()
        if ctx.options.metahub_lean:
            logger.debug("removed: %s", ", ".join(remove_idle_addons()))
            calm_garbage_collector()
        self._beats = asyncio.get_running_loop().create_task(self._beat_for_ever())

    def done(self) -> None:
        """Stop."""
        if self._beats is not None:
            self._beats.cancel()
            self._notify("STOPPING=1")
        self._manager.close()
        if self._firewall is not None:
            self._firewall.close()

    def is_ready(self) -> str:
        """Empty if clients can be answered, else why not."""
        return self._problem

    def let_past(self, address: str, briefly: bool = False) -> None:
        """Ask the firewall to leave an address alone, if it listens."""
        if self._firewall is not None and self._heard:
            self._firewall.let_past(address, briefly)

    async def _beat_for_ever(self) -> None:
        is_ready = False
        unwell = 0
        for beat in count():
            if beat % _BEATS_BETWEEN_CHECKS == 0 or unwell:
                unwell = 0 if self._is_well() else unwell + 1
            if not unwell and not is_ready:
                is_ready = self._notify("READY=1")
            # Who lives is not killed for being unwell: copies of layers may still run well.
            if is_ready and unwell < _PATIENCE_BEATS:
                self._notify("WATCHDOG=1")
            if not unwell and _has_files_left():
                self._beat()
            await asyncio.sleep(_BEAT_SECONDS)

    def _is_well(self) -> bool:
        """See whether clients can be answered: else no beat, and pulls go past the proxy."""
        try:
            check_handshake()
        except UnwellError as error:
            logger.error("the proxy can't answer by TLS, no pull comes to it: %s", error)
            self._problem = f"the proxy can't answer by TLS: {error}"
            return False
        self._problem = ""
        return True

    def _beat(self) -> None:
        if self._firewall is None:
            return
        heard = {self._firewall.beat(port) for port in self._ports} == {True}
        if heard != self._heard:
            self._heard = heard
            if heard:
                logger.info("the firewall redirects ports %s", ", ".join(map(str, self._ports)))
            else:
                logger.warning("no firewall rule hears the proxy: pulls may go on without it")

    def _notify(self, state: str) -> bool:
        try:
            self._manager.say(state)
        except OSError as error:
            logger.warning("systemd's NOTIFY_SOCKET: %s", error.strerror)
            return False
        return True


def _has_files_left() -> bool:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        left = len(os.listdir("/proc/self/fd")) < limit * _FILES_IN_USE
    except OSError:
        left = False  # not even for this look
    if not left:
        logger.error("too many open files: until some are closed, no pull comes to the proxy")
    return left
