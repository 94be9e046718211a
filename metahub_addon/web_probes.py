"""`/metrics`, `/healthz`, `/readyz`: for machines, on nodes and hubs, without a login."""

import asyncio

from metahub_addon.web_handler import Handler, Refused
from metahub_addon.web_hub import WebHub

_READY_SECONDS = 5.0


class Probe(Handler):
    """A handler for GET and HEAD; nothing of it is secret."""

    async def head(self) -> None:
        """The headers of GET."""
        await self.get()

    async def get(self) -> None:
        """One line."""
        self.say("ok")

    def say(self, text: str) -> None:
        """Answer with a line."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{text}\n")


class Ready(Probe):
    """200 if pulls can be sent here, else 503 and why not."""

    async def get(self) -> None:
        """Ask the node and, if there is one, the hub."""
        hub = self.parts.hub()
        reason = self.parts.is_ready() or (await _hub_reason(hub) if hub else "")
        if reason:
            raise Refused(503, reason)
        self.say("ready")


class MetricsProbe(Probe):
    """What Prometheus scrapes."""

    async def get(self) -> None:
        """In the format that it asks for."""
        accept = self.request.headers.get("Accept", "")
        content_type, body = self.parts.metrics.exposition(accept)
        self.set_header("Content-Type", content_type)
        self.finish(body)


async def _hub_reason(hub: WebHub) -> str:
    try:
        async with asyncio.timeout(_READY_SECONDS):
            return await hub.is_ready()
    except TimeoutError:
        return f"no answer within {_READY_SECONDS:g} s"


PROBES = (("/healthz", Probe), ("/readyz", Ready), ("/metrics", MetricsProbe))
