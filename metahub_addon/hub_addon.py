"""mitmproxy hooks: be a registry for a fleet, where the login tells the machine type."""

import asyncio
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path

from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client as Connection
from mitmproxy.tls import ClientHelloData

from metahub_addon.answer import Answer
from metahub_addon.clients import is_named
from metahub_addon.flow_repository import HUB
from metahub_addon.header_bound import bound_headers
from metahub_addon.hub import ConfigSource, Hub
from metahub_addon.hub_admission import Client, Refused, admit, authorise
from metahub_addon.hub_config import HubConfig
from metahub_addon.hub_config_file import HubConfigFile
from metahub_addon.hub_connections import HubConnections
from metahub_addon.hub_flow import (
    address_of,
    certificate_of,
    fill,
    give,
    has_body,
    has_long_body,
    host_of,
    is_private,
    is_repeatable,
    lead_back,
    replace_answer,
    send_on,
    target_of,
)
from metahub_addon.hub_login_check import LoginCheck
from metahub_addon.hub_registry import Asked, HubRegistry, Served
from metahub_addon.hub_routes import TYPES_PATH, NoRoute, Route
from metahub_addon.idle_addons import calm_garbage_collector
from metahub_addon.listen_backlog import deepen_backlogs
from metahub_addon.login_throttle import LoginThrottle
from metahub_addon.oci_error import JSON_TYPE, oci_error
from metahub_addon.passwords import Passwords
from metahub_addon.printable import printable
from metahub_addon.registry_client import RegistryClient
from metahub_addon.report import machine_json
from metahub_addon.static_machines import StaticMachines
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.tls_options import TLS_OPTIONS, tls_settings
from metahub_addon.tls_resumption import forbid_resumption
from metahub_addon.trailer_refusal import refuse_trailers
from metahub_addon.upstream import FetchError, Registry, Repository, Upstream
from metahub_addon.upstream_credentials import UpstreamCredentials

logger = logging.getLogger("metahub")

_STATIC = "STATIC_MACHINES"
_ROUTE = "metahub_hub_route"
_SENT = "metahub_hub_authorization"
_OPTIONS = frozenset({"metahub_machine_types", "mode", "metahub_timeout", "metahub_cache_mib"})
_BASE = frozenset({"/v2/", "/v2"})
_LEAST_SECONDS = 30.0
# A request asks its registry a handful of times at most, each with a time limit.
_FORMER_SECONDS = 300.0
_BACKLOG = 1024
_MAX_HEADERS = 64 * 1024


def is_hub() -> bool:
    """True if mitmdump is to be a hub rather than a node's proxy."""
    static = os.environ.get(_STATIC, "").lower() in ("1", "true", "yes")
    return bool(ctx.options.metahub_machine_types) or static


class HubAddon:
    """Answers a hub's clients.

    `counts` is the addon's, `untouched` names the clients that see the whole index.
    """

    def __init__(self, counts: Counter[str], untouched: Callable[[], Sequence[str]]) -> None:
        self._counts = counts
        self._untouched = untouched
        self.hub: Hub | None = None
        self._is_hub = False
        self._client: RegistryClient | None = None
        self._former: dict[RegistryClient, asyncio.Task[None]] = {}
        self._config: HubConfig | None = None
        self._credentials: UpstreamCredentials | None = None
        self._passwords = Passwords()
        self._connections = HubConnections()
        self._is_running = False

    def load(self, loader: Loader) -> None:
        """Declare the option."""
        loader.add_option(
            "metahub_machine_types",
            str,
            "",
            "Be a hub: the file (YAML) of machine types and of who logs in. Empty: a node.",
        )

    def configure(self, updated: set[str]) -> None:
        """Read the file and make the ways out anew; raises OptionsError, then all stays."""
        if not updated & (_OPTIONS | TLS_OPTIONS):
            return
        self._is_hub = is_hub()
        if not self._is_hub:
            self.hub = None
            return
        targets = [target_of(mode, not ctx.options.ssl_insecure) for mode in ctx.options.mode]
        default = targets[0]
        if default is None or any(target != default for target in targets):
            # Any other mode would be a way past the login, to any host.
            raise exceptions.OptionsError(
                "metahub_machine_types: a hub wants --mode reverse:https://REGISTRY@PORT, "
                f"and nothing else: {', '.join(ctx.options.mode)}"
            )
        self._build(default)

    def _build(self, default: Registry) -> None:
        path, options = ctx.options.metahub_machine_types, ctx.options
        try:
            source: ConfigSource = (
                HubConfigFile(Path(path).expanduser()) if path else StaticMachines()
            )
        except InvalidYaml as error:
            raise exceptions.OptionsError(f"metahub_machine_types: {error}") from None
        # A node can leave what upstream answers; here there is nothing but an error to give.
        seconds = max(float(options.metahub_timeout), _LEAST_SECONDS)
        credentials = UpstreamCredentials(source.config.upstreams)
        client = RegistryClient(tls_settings(), seconds, credentials, options.upstream_auth or "")
        upstream = Upstream(client, options.metahub_cache_mib * 1024 * 1024, seconds)
        check = LoginCheck(self._passwords, LoginThrottle())
        if self._client is not None:
            self._retire(self._client)
        self._client, self._credentials, self._config = client, credentials, None
        self.hub = Hub(source, default, check, HubRegistry(client, upstream, seconds))
        self._take_up(self.hub)

    def _retire(self, client: RegistryClient) -> None:
        """Close a client later: pulls may still be under way with it."""

        async def close() -> None:
            await asyncio.sleep(_FORMER_SECONDS)
            await client.aclose()
            del self._former[client]

        self._former[client] = asyncio.get_running_loop().create_task(close())

    def _take_up(self, hub: Hub) -> None:
        """Let a changed configuration hold for the ways out, too."""
        assert self._credentials
        if hub.config is not self._config:
            self._config = hub.config
            self._credentials.use(hub.upstreams)
            self._passwords.expect(one.password for one in hub.config.accounts.values())
            if self._is_running:
                ctx.options.update(request_client_cert=bool(hub.config.certificates))

    def running(self) -> None:
        """Set mitmproxy's options as a hub needs them."""
        if self.hub is None:
            return
        ctx.options.update(
            # The name by which a client calls the hub says which registry it means.
            keep_host_header=True,
            # The hub's certificate is its own: nothing of a registry's is shown to clients.
            upstream_cert=False,
            onboarding=False,
            # A fleet may have public addresses; a hub lets in who has a login.
            block_global=False,
            request_client_cert=bool(self.hub.config.certificates),
        )
        self._is_running = True
        bound_headers(_MAX_HEADERS)
        refuse_trailers()
        forbid_resumption()
        self._connections.start()
        calm_garbage_collector()
        deepen_backlogs(_BACKLOG)
        names = ", ".join(rule.name for rule in self.hub.upstreams)
        logger.info("a hub for %s; machine types: %s", names, ", ".join(self.hub.config.types))

    async def done(self) -> None:
        """Close the connections."""
        self._connections.stop()
        self._passwords.close()
        for closing in self._former.values():
            closing.cancel()
        for client in (*self._former, self._client):
            if client is not None:
                await client.aclose()

    def client_connected(self, client: Connection) -> None:
        """Count a connection; it may have to go at once, or another for it."""
        if self.hub is not None:
            self._connections.came(client, self.hub.config.trusted_proxies)

    def client_disconnected(self, client: Connection) -> None:
        """Count no longer."""
        self._connections.left(client)

    def tls_clienthello(self, data: ClientHelloData) -> None:
        """A client speaks: it has some more time for its request."""
        self._connections.heard(data.context.client)

    async def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Answer a request, or send it on to its registry. Whatever fails is refused."""
        if not self._is_hub:
            return
        flow.metadata[HUB] = True
        self._connections.asked(flow.client_conn)
        try:
            with (
                self._connections.held(flow.client_conn)
                if has_body(flow.request)
                else nullcontext()
            ):
                answer = await self._answer(flow)
        except Refused as refused:
            answer = refused.answer
        except FetchError as error:
            answer = self._unreachable(flow, error)
        except BaseException:
            # Whatever it is must not let a request through. mitmproxy logs its traceback.
            message = "this hub could not judge the request"
            give(flow, self._counted(oci_error(500, "UNKNOWN", message)))
            _cut_off(flow)
            raise
        if answer is None:
            flow.request.stream = True
        else:
            give(flow, self._counted(answer))
            _cut_off(flow)

    def _counted(self, answer: Answer) -> Answer:
        """Count an answer that is an error, whoever's: by these, operators are alerted."""
        if answer.status >= 400:
            self._counts[f"hub refused {answer.status}"] += 1
        return answer

    async def _answer(self, flow: http.HTTPFlow) -> Answer | None:
        """The answer to a request; None if it is sent on. Raises Refused and FetchError."""
        hub, request = self.hub, flow.request
        assert hub, "a hub that could not be built"
        config, head = await hub.refresh(), request.method == "HEAD"
        self._take_up(hub)
        if not is_private(flow, config):
            what = "this hub takes logins by TLS only; a proxy says X-Forwarded-Proto: https"
            raise Refused(oci_error(403, "DENIED", what, head))
        client = await admit(
            hub,
            request.headers.get("Authorization", ""),
            address_of(flow, config),
            certificate_of(flow),
            head,
        )
        self._connections.known(flow.client_conn)
        path = request.path.partition("?")[0]
        if path in _BASE:
            return Answer(
                status=200, headers={"Content-Type": JSON_TYPE, "Content-Length": "2"}, body=b"{}"
            )
        if path == TYPES_PATH:
            return _types(hub, client)
        route = hub.route(request.method, request.path, host_of(flow))
        if isinstance(route, NoRoute):
            raise Refused(oci_error(route.status, route.code, route.message, head))
        authorise(client, route, head)
        if route.manifest is not None:
            return await self._manifest(flow, hub, route, client)
        await self._send_on(flow, route)
        return None

    async def _manifest(
        self, flow: http.HTTPFlow, hub: Hub, route: Route, client: Client
    ) -> Answer:
        assert route.manifest
        manifest, headers = route.manifest, flow.request.headers
        is_whole = manifest.by_digest or manifest.attached or self._sees_all(flow)
        if client.machine is None and not is_whole:
            head = manifest.method == "HEAD"
            raise Refused(oci_error(403, "DENIED", client.why, head))
        asked = Asked(
            repository=Repository(registry=route.rule.registry, name=route.upstream_name),
            request=manifest,
            machine=None if is_whole else client.machine,
            accept=headers.get_all("Accept"),
            if_none_match=headers.get("If-None-Match", ""),
        )
        served = await hub.registry.manifest(asked)
        self._note(hub, route, client, served)
        return served.answer

    def _sees_all(self, flow: http.HTTPFlow) -> bool:
        return is_named(flow.request.headers.get("User-Agent", ""), self._untouched())

    def _note(self, hub: Hub, route: Route, client: Client, served: Served) -> None:
        """Count, log and keep what a client got."""
        manifest, machine, decision = route.manifest, client.machine, served.decision
        assert manifest
        mark = "@" if manifest.by_digest else ":"
        image = f"{route.name}{mark}{manifest.reference}"
        if manifest.by_digest:
            self._counts["pinned"] += 1
        elif served.left:
            self._counts["failed"] += 1
            logger.warning("%s: left as upstream answered: %s", image, printable(served.left))
        elif decision is None or machine is None:
            self._counts["passed"] += 1
        else:
            hub.recent.note(client.account.user, route.name, image, decision)
            self._note_decision(image, client, served)
        if served.answer.status == 404 and decision is None and machine is not None:
            hub.recent.miss(route.name, image, machine.name)

    def _note_decision(self, image: str, client: Client, served: Served) -> None:
        decision = served.decision
        assert decision
        child, who = decision.chosen, f"{client.account.user} as {decision.machine.name}"
        if child is None:
            self._counts["nothing fits"] += 1
            logger.warning("%s: %s", image, printable(decision.reason))
            return
        self._counts["rewritten"] += 1
        needs = printable(", ".join(map(str, child.requires))) or "generic"
        logger.info("%s: %s [%s] for %s", image, child.digest, needs, who)

    async def _send_on(self, flow: http.HTTPFlow, route: Route) -> None:
        """Turn a request to its registry; raises FetchError."""
        assert self._client
        authorization = await self._client.authorization(
            route.rule.registry, route.upstream_name, _actions(route)
        )
        send_on(flow, route, authorization)
        flow.metadata[_ROUTE], flow.metadata[_SENT] = route, authorization
        self._counts["hub sent on"] += 1

    def _unreachable(self, flow: http.HTTPFlow, error: FetchError) -> Answer:
        self._counts["failed"] += 1
        logger.warning("%s: %s", flow.request.path[:200], printable(str(error)))
        head = flow.request.method == "HEAD"
        if error.status in (401, 403):
            message = "the registry behind this hub denies the hub's login"
            return oci_error(403, "DENIED", message, head)
        if error.status == 429:
            message = "the registry behind this hub takes no more requests for now"
            return oci_error(429, "TOOMANYREQUESTS", message, head)
        what = f"the registry behind this hub can't be asked: {error}"
        return oci_error(502, "UNAVAILABLE", what, head)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Stream a registry's answer, as the hub's own."""
        route = flow.metadata.get(_ROUTE)
        if not isinstance(route, Route):
            return
        assert flow.response
        flow.response.stream = True
        if flow.response.status_code == 401:
            replace_answer(flow, self._counted(self._denied(flow, route)))
        elif flow.response.status_code < 200:
            # Nobody asked to change the protocol; what came next would be past all of this.
            message = "the registry behind this hub answers with another protocol"
            replace_answer(flow, self._counted(oci_error(502, "UNAVAILABLE", message)))
        else:
            lead_back(flow, route)

    def _denied(self, flow: http.HTTPFlow, route: Route) -> Answer:
        """A registry has refused the hub's token: the client asks again, once, for a new one."""
        assert self._client
        registry = route.rule.registry
        assert flow.response
        challenge = flow.response.headers.get("WWW-Authenticate", "")
        try:
            is_new = self._client.refused(
                registry, route.upstream_name, _actions(route), flow.metadata[_SENT], challenge
            )
        except FetchError as error:
            logger.warning("%s: %s", route.name, printable(str(error)))
            is_new = False
        head = flow.request.method == "HEAD"
        # A new login that is refused as well is no matter of its age.
        if is_new and not route.is_again:
            if is_repeatable(flow.request, route):
                headers = {"Location": route.again, "Content-Length": "0"}
                return Answer(status=307, headers=headers, body=b"")
            message = "the registry behind this hub has ended the hub's login: try again"
            return oci_error(503, "UNAVAILABLE", message, head, {"Retry-After": "1"})
        message = f"{route.name}: the registry behind this hub denies the hub access"
        logger.warning("%s", message)
        return oci_error(403, "DENIED", message, head)

    def response(self, flow: http.HTTPFlow) -> None:
        """Complete an answer that was replaced."""
        if isinstance(flow.metadata.get(_ROUTE), Route):
            fill(flow)


def _cut_off(flow: http.HTTPFlow) -> None:
    """Let nobody send us gigabytes to be told no."""
    if has_long_body(flow.request) and flow.killable:
        flow.kill()


def _actions(route: Route) -> str:
    return "pull" if route.action.value == "pull" else "pull,push"


def _types(hub: Hub, client: Client) -> Answer:
    """The machine types that an account may be, and the name that each logs in with."""
    account = client.account
    types = [
        {
            **machine_json(machine),
            "login": account.login_of(name),
        }
        for name, machine in hub.config.types_of(account).items()
    ]
    body = json.dumps({"account": account.user, "types": types}).encode()
    headers = {"Content-Type": JSON_TYPE, "Content-Length": str(len(body))}
    return Answer(status=200, headers=headers, body=body)
