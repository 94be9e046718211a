"""mitmproxy hooks: answer a request for an index with the child that fits this host.

Run as `mitmdump -s metahub_addon/addon.py`. A whole answer is built before a flow is
changed, so a failure leaves what upstream said.
"""

import asyncio
import logging
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

if __name__.startswith("__mitmproxy_script__"):
    # mitmproxy loads the file by its path: find the package that it belongs to.
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cachetools import LRUCache, TTLCache
from mitmproxy import command, ctx, exceptions, http
from mitmproxy.addonmanager import Loader

from metahub_addon.answer import Answer, outdated
from metahub_addon.clients import UNTOUCHED_CLIENTS, is_named
from metahub_addon.compatibility import Compatibility
from metahub_addon.decisions import Decisions
from metahub_addon.detect import detect
from metahub_addon.flow_repository import HUB, NOT_OURS, repository_of
from metahub_addon.http_fetcher import HttpFetcher
from metahub_addon.hub_addon import HubAddon, is_hub
from metahub_addon.index import MAX_MANIFEST_BYTES, InvalidIndex
from metahub_addon.interception_addon import Interceptor
from metahub_addon.layers_addon import Layers
from metahub_addon.machine import MachineType
from metahub_addon.media_types import INDEXES, essence
from metahub_addon.node_addon import Node
from metahub_addon.node_features import find_node_features
from metahub_addon.profile_file import ProfileFile
from metahub_addon.profile_parser import InvalidProfile
from metahub_addon.registry import ManifestRequest, recognise
from metahub_addon.rewrite import Shown, rewrite
from metahub_addon.selection import Decision
from metahub_addon.this_host import ThisHost
from metahub_addon.tls_options import TLS_OPTIONS, tls_settings
from metahub_addon.upstream import FetchError, Repository, Upstream
from metahub_addon.web_addon import Web

logger = logging.getLogger("metahub")

_REQUEST = "metahub_request"
_CONDITION = "metahub_if_none_match"
_RELOAD_SECONDS = 1.0
_UPSTREAM_OPTIONS = TLS_OPTIONS | {"metahub_timeout", "metahub_cache_mib", "metahub_nfd"}


class Metahub:
    """The addon. Its state: options parsed once, the cache, what was missing, counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._detected: MachineType | None = None
        self._profile: ProfileFile | None = None
        self._reloads: set[asyncio.Task[MachineType]] = set()
        self.untouched: Sequence[str] = UNTOUCHED_CLIENTS
        self.fetcher: HttpFetcher | None = None
        self._upstream: Upstream | None = None
        self._compatibility: Compatibility | None = None
        self._decisions = Decisions()
        self._seconds = 5.0
        self._named: LRUCache[tuple[str, ...], bool] = LRUCache(4096)
        # A child that a HEAD promised and the registry has not: left out of the choice
        # for a while, so that the runtime's next try succeeds.
        self._absent: TTLCache[tuple[str, ...], bool] = TTLCache(4096, ttl=300)

    def load(self, loader: Loader) -> None:
        """Declare the options."""
        loader.add_option(
            "metahub_profile", str, "", "This host's profile (YAML). Empty: detect this host."
        )
        loader.add_option(
            "metahub_metadata",
            bool,
            True,
            "Ask the cloud's metadata service, where the firmware names a cloud, when detecting.",
        )
        loader.add_option(
            "metahub_untouched_clients",
            Sequence[str],
            list(UNTOUCHED_CLIENTS),
            "Clients that see the whole index: how a product in their User-Agent starts.",
        )
        loader.add_option(
            "metahub_nfd",
            bool,
            False,
            "Ask for images' NFD compatibility artifacts, too (up to four requests an image).",
        )
        loader.add_option(
            "metahub_timeout", int, 5, "Seconds that a choice may take before upstream's stands."
        )
        loader.add_option(
            "metahub_cache_mib", int, 64, "MiB of manifests, named by digest, that are kept."
        )
        # Layers through mitmproxy's HTTP/2 are several times slower than through HTTP/1.1.
        ctx.options.update(http2=False)
        for noisy in ("httpx", "httpcore"):
            logging.getLogger(noisy).setLevel(logging.WARNING)

    def configure(self, updated: set[str]) -> None:
        """Parse the options that changed; raises OptionsError, then all stays as it was."""
        # A hub has the machine types of its clients, and none of its own.
        if updated & {"metahub_profile", "metahub_metadata"} and not is_hub():
            self._configure_machine()
        if "metahub_untouched_clients" in updated:
            self.untouched = tuple(ctx.options.metahub_untouched_clients)
        if updated & _UPSTREAM_OPTIONS:
            self._configure_upstream()

    def _configure_machine(self) -> None:
        path, metadata = ctx.options.metahub_profile, ctx.options.metahub_metadata
        if path:
            try:
                profile = ProfileFile(Path(path).expanduser(), metadata)
            except InvalidProfile as error:
                # mitmproxy prints the cause with its traceback, the operator needs the message.
                raise exceptions.OptionsError(f"metahub_profile: {error}") from None
            self._profile = profile
            return
        found = detect(ThisHost(), metadata)
        for warning in found.warnings:
            logger.warning("detection: %s", warning)
        features = ", ".join(map(str, found.machine.features))
        logger.info("no metahub_profile: detected %s [%s]", found.machine.platform, features)
        self._profile, self._detected = None, found.machine

    async def _current_machine(self) -> MachineType:
        """The machine type now. A changed profile may run commands: not on the event loop."""
        profile = self._profile
        if profile is None:
            assert self._detected
            return self._detected
        if profile.is_stale():
            work = asyncio.create_task(asyncio.to_thread(profile.current))
            self._reloads.add(work)
            work.add_done_callback(self._reloads.discard)
            # A profile's commands may take long: then this pull has the last good one.
            await asyncio.wait({work}, timeout=_RELOAD_SECONDS)
        return profile.machine

    def _configure_upstream(self) -> None:
        options = ctx.options
        if options.metahub_timeout < 1:
            raise exceptions.OptionsError("metahub_timeout: must be at least 1 second")
        if options.metahub_cache_mib < 1:
            raise exceptions.OptionsError("metahub_cache_mib: must be at least 1")
        seconds = float(options.metahub_timeout)
        fetcher = HttpFetcher(tls_settings(), seconds, options.upstream_auth or "")
        self.fetcher, self._seconds = fetcher, seconds
        self._compatibility = None
        if options.metahub_nfd:
            self._compatibility = Compatibility(fetcher, find_node_features(ThisHost()))
        self._upstream = Upstream(fetcher, options.metahub_cache_mib * 1024 * 1024, seconds)

    @command.command("metahub.counts")
    def show_counts(self) -> Sequence[str]:
        """What was done so far, one `what: how often` a line."""
        return [f"{what}: {count}" for what, count in sorted(self.counts.items())]

    async def done(self) -> None:
        """Close the connections and say what was done."""
        if self.fetcher is not None:
            await self.fetcher.aclose()
        if self.counts:
            logger.info("metahub: %s", ", ".join(self.show_counts()))

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Recognise a request for a manifest; stream whatever a client sends."""
        if HUB in flow.metadata:
            return
        flow.request.stream = True
        request = recognise(flow.request.method, flow.request.path)
        if request is None or NOT_OURS in flow.metadata:
            return
        flow.metadata[_REQUEST] = request
        if request.by_digest:
            self.counts["pinned"] += 1
        elif self._wants_child(flow, request):
            # A condition on the child must not be judged by the index, nor may a range be
            # cut from it: ask without (RFC 9110 lets any server ignore both).
            flow.metadata[_CONDITION] = flow.request.headers.get("If-None-Match", "")
            for name in ("If-None-Match", "If-Modified-Since", "Range", "If-Range"):
                flow.request.headers.pop(name, None)

    def _wants_child(self, flow: http.HTTPFlow, request: ManifestRequest) -> bool:
        agent = flow.request.headers.get("User-Agent", "")
        if request.attached or is_named(agent, self.untouched):
            self.counts["untouched"] += 1
            logger.debug("%s: untouched for %r", request, agent[:99])
            return False
        return True

    async def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream all but an index asked for by tag; answer HEAD from the cached index."""
        if HUB in flow.metadata:
            return
        assert flow.response
        flow.response.stream = True
        request = flow.metadata.get(_REQUEST)
        if not isinstance(request, ManifestRequest):
            return
        if request.by_digest:
            self._note_absent(flow, request)
        elif _CONDITION in flow.metadata and _is_index(flow.response):
            if request.method == "GET" and _fits_in_memory(flow.response):
                flow.response.stream = False  # the index is at hand: see `response`
            else:
                await self._answer(flow, request, None)
        else:
            self.counts["passed"] += 1

    async def response(self, flow: http.HTTPFlow) -> None:
        """Answer a GET by tag whose index has arrived."""
        assert flow.response
        request = flow.metadata.get(_REQUEST)
        if isinstance(request, ManifestRequest) and flow.response.stream is False:
            await self._answer(flow, request, flow.response.raw_content or b"")

    async def _answer(
        self, flow: http.HTTPFlow, request: ManifestRequest, body: bytes | None
    ) -> None:
        """Replace upstream's answer, or leave it and say why. `body`: the index, if at hand."""
        assert self._upstream
        name = f"{flow.request.pretty_host}/{request}"
        shown = _shown(flow, request, body)
        absent = self._absent_in(shown.repository)
        try:
            async with asyncio.timeout(self._seconds):
                machine = await self._current_machine()
                outcome = await rewrite(
                    shown, machine, self._upstream, absent, self._compatibility, self._decisions
                )
        except (FetchError, InvalidIndex) as error:
            self._left(name, str(error))
        except TimeoutError:
            self._left(name, f"no choice within {self._seconds:g} s")
        except Exception:
            # mitmproxy logs it with its traceback; the flow is still as upstream left it.
            self.counts["failed"] += 1
            raise
        else:
            self._note(name, shown.repository, outcome.decision)
            if outcome.answer is not None:
                _apply(flow, outcome.answer)

    def _left(self, name: str, reason: str) -> None:
        self.counts["failed"] += 1
        logger.warning("%s: left as upstream answered: %s", name, reason)

    def _note(self, name: str, repository: Repository, decision: Decision) -> None:
        """Count and log a decision, and remember the child that it names."""
        child = decision.chosen
        if not decision.has_platforms:
            self.counts["passed"] += 1
            logger.debug("%s: offers no platforms, passed", name)
        elif child is None:
            self.counts["nothing fits"] += 1
            logger.warning("%s: %s", name, decision.reason)
        else:
            self.counts["rewritten"] += 1
            self._named[(*repository.identity, child.digest)] = True
            needs = ", ".join(map(str, child.requires)) or "generic"
            logger.info("%s: %s [%s] for %s", name, child.digest, needs, decision.machine.name)

    def _absent_in(self, repository: Repository) -> frozenset[str]:
        prefix = repository.identity
        return frozenset(key[-1] for key in self._absent if key[:-1] == prefix)

    def _note_absent(self, flow: http.HTTPFlow, request: ManifestRequest) -> None:
        """Remember a child that we named and the registry has not."""
        assert flow.response
        if flow.response.status_code != 404:
            return
        key = (*repository_of(flow, request.name, request.namespace).identity, request.reference)
        if key in self._named:
            self._absent[key] = True
            self.counts["absent"] += 1
            logger.warning("%s: named by its index, missing in the registry", request)


def _is_index(response: http.Response) -> bool:
    content_type = essence(response.headers.get("Content-Type", ""))
    return response.status_code == 200 and content_type in INDEXES


def _fits_in_memory(response: http.Response) -> bool:
    """True for a body that is plain and, by its declared length, no larger than a manifest."""
    plain = response.headers.get("Content-Encoding", "identity").lower() == "identity"
    length = response.headers.get("Content-Length", "")
    return plain and length.isdecimal() and int(length) <= MAX_MANIFEST_BYTES


def _shown(flow: http.HTTPFlow, request: ManifestRequest, body: bytes | None) -> Shown:
    response = flow.response
    assert response
    return Shown(
        repository=repository_of(flow, request.name, request.namespace),
        head=request.method == "HEAD",
        media_type=essence(response.headers.get("Content-Type", "")),
        digest=response.headers.get("Docker-Content-Digest", ""),
        body=body,
        accept=flow.request.headers.get_all("Accept"),
        if_none_match=flow.metadata[_CONDITION],
    )


def _apply(flow: http.HTTPFlow, answer: Answer) -> None:
    response = flow.response
    assert response
    for name in {name for name in response.headers if outdated(name)}:
        del response.headers[name]
    response.status_code, response.reason = answer.status, ""
    if response.stream is False or flow.request.method == "HEAD":
        response.raw_content = answer.body
    else:
        response.stream = _instead(answer.body)
    for name, value in answer.headers.items():
        response.headers[name] = value
    if answer.status == 304:
        response.headers.pop("Content-Length", None)
        response.headers.pop("Content-Type", None)


def _instead(body: bytes) -> Callable[[bytes], bytes]:
    """A stream that drops what upstream sends and ends with `body` instead."""
    return lambda chunk: b"" if chunk else body


def _addons() -> list[object]:
    metahub, node = Metahub(), Node()

    def fetcher() -> HttpFetcher:
        assert metahub.fetcher
        return metahub.fetcher

    interceptor = Interceptor(metahub.counts, node.let_past)
    layers = Layers(metahub.counts, interceptor, fetcher)
    hub = HubAddon(metahub.counts, lambda: metahub.untouched)
    web = Web(metahub.counts, lambda: hub.hub, node.is_ready)
    return [hub, interceptor, metahub, layers, node, web]


addons = _addons()
