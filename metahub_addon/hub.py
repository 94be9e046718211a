"""A hub without its flows: who a client is, what it may have, and what happened."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_address
from typing import Any, Protocol

from metahub_addon.access import may_pull
from metahub_addon.authority_files import AuthorityFiles
from metahub_addon.client_certificates import ShownCertificate, is_current
from metahub_addon.hub_config import Account, CertificateRule, HubConfig, UpstreamRule
from metahub_addon.hub_login_check import LoginCheck
from metahub_addon.hub_registry import HubRegistry
from metahub_addon.hub_routes import NoRoute, Route, find_route
from metahub_addon.index import InvalidIndex
from metahub_addon.printable import printable
from metahub_addon.recent import Gap, Made, Recent
from metahub_addon.selection import Decision
from metahub_addon.shared_work import SharedWork
from metahub_addon.type_digest import digest_of
from metahub_addon.type_selection import Login, Presented, Selected, select
from metahub_addon.upstream import FetchError, Registry, Repository

logger = logging.getLogger(__name__)

_IMAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._/-]*?)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>[a-z0-9]+:[a-f0-9]+))?"
)


class NotAllowed(Exception):
    """Something that an account may not do; the message says what."""


class Crossed(Exception):
    """A machine type that is another by now than a change was made from; says which."""


class ImageProblem(Exception):
    """An image that can't be judged; the message names it and says why."""


class ConfigSource(Protocol):
    """Where a hub's configuration comes from, and where changes of it go."""

    @property
    def config(self) -> HubConfig:
        """The last good one."""
        ...

    def is_stale(self) -> bool:
        """True if it has changed since it was read; must be cheap."""
        ...

    def current(self) -> HubConfig:
        """Read it again if it has changed; may block."""
        ...

    def put_type(self, text: Mapping[str, Any]) -> None:
        """Add or replace a machine type; may block. Raises InvalidYaml or ReadOnly."""
        ...

    def remove_type(self, name: str) -> None:
        """Remove a machine type; may block. Raises InvalidYaml or ReadOnly."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """What each machine type of an account would get of an image, and the index's digest."""

    image: str
    digest: str
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a client shows: `login` as it was judged, its `address`, its certificate."""

    address: str
    login: Login | None = None
    certificate: ShownCertificate | None = None


class Hub:
    """Judges clients and images by the configuration as it is now.

    `default` is the registry where all goes that no rule of the configuration takes.
    """

    def __init__(
        self,
        source: ConfigSource,
        default: Registry,
        check: LoginCheck,
        registry: HubRegistry,
    ) -> None:
        self._source = source
        self._default = default
        self._check = check
        self.registry = registry
        self.recent = Recent()
        self._authorities = AuthorityFiles()
        self._upstreams: tuple[HubConfig, tuple[UpstreamRule, ...]] | None = None
        self._reading = SharedWork[HubConfig]()
        self._changing = asyncio.Lock()

    @property
    def config(self) -> HubConfig:
        """The configuration as it was last read."""
        return self._source.config

    async def refresh(self) -> HubConfig:
        """The configuration as it is now; a broken change leaves the last good one."""
        if self._source.is_stale():
            await self._reading.do(None, lambda: asyncio.to_thread(self._source.current))
        return self._source.config

    async def check(self, user: str, password: str, address: str) -> Login:
        """Who logs in; raises LoginRefused."""
        return await self._check.check(await self.refresh(), user, password, address)

    def select(self, shown: Shown) -> Selected:
        """The account and machine type of a client; raises NotSelected."""
        presented = Presented(
            login=shown.login,
            address=ip_address(shown.address) if shown.address else None,
            certificate=shown.certificate,
        )
        return select(self.config, presented, self._is_good)

    def _is_good(self, rule: CertificateRule, shown: ShownCertificate) -> bool:
        if rule.authority:
            return self._authorities.has_issued(rule.authority, shown)
        return is_current(shown)

    def route(self, method: str, target: str, host: str) -> Route | NoRoute:
        """What a request is for, and of which registry."""
        return find_route(method, target, host, self.upstreams)

    @property
    def upstreams(self) -> tuple[UpstreamRule, ...]:
        """The registries behind this hub; one of them is the default."""
        config = self.config
        if self._upstreams is None or self._upstreams[0] is not config:
            rules = config.upstreams
            if all(rule.prefix or rule.hosts for rule in rules):
                rules = (*rules, UpstreamRule(name=self._default.host, registry=self._default))
            self._upstreams = config, rules
        return self._upstreams[1]

    async def log_in(self, user: str, password: str, address: str) -> Account:
        """The account of who logs in to the page or the API; raises LoginRefused."""
        return (await self.check(user, password, address)).account

    async def matrix(self, account: Account, image: str) -> Matrix:
        """What each of an account's machine types would get; raises ImageProblem."""
        found = _IMAGE.fullmatch(image.strip())
        if found is None:
            raise ImageProblem(f"{image[:200]!r} is no image's name")
        await self.refresh()
        reference = found["digest"] or found["tag"] or "latest"
        route = self.route("GET", f"/v2/{found['name']}/manifests/{reference}", "")
        if isinstance(route, NoRoute) or route.manifest is None:
            raise ImageProblem(f"{image[:200]!r} is no image's name")
        if not may_pull(account, route.name):
            raise ImageProblem(f"{route.name}: {account.user} may not pull it")
        repository = Repository(registry=route.rule.registry, name=route.upstream_name)
        machines = tuple(self.config.types_of(account).values())
        if not machines:
            raise ImageProblem(f"{account.user} has no machine type")
        try:
            digest, decisions = await self.registry.decide(repository, reference, machines)
        except (FetchError, InvalidIndex) as error:
            raise ImageProblem(f"{image.strip()}: {error}") from error
        return Matrix(image=image.strip(), digest=digest, decisions=decisions)

    def decisions(self, account: Account) -> Sequence[Made]:
        """The last decisions on what an account may pull, the newest first.

        For whom another account has asked is told to administrators only (empty: not told).
        """
        seen = [made for made in self.recent.decisions if may_pull(account, made.repository)]
        return [_as_told(made, account) for made in seen]

    def gaps(self, account: Account) -> Sequence[Gap]:
        """What was asked for and not there, of what an account may pull; the newest first."""
        return [gap for gap in self.recent.gaps if may_pull(account, gap.repository)]

    async def put_type(
        self, account: Account, text: Mapping[str, Any], shown: str | None = None
    ) -> None:
        """Add or replace a machine type; raises NotAllowed, Crossed, InvalidYaml or ReadOnly.

        `shown` is the digest (type_digest) of the one that the change was made from: empty
        where there was none, None for whatever there is. `text` has its `name` then.
        """
        change = partial(self._source.put_type, text)
        await self._change(account, change, str(text.get("name", "")), shown)

    async def remove_type(self, account: Account, name: str, shown: str | None = None) -> None:
        """Remove a machine type; raises what put_type does."""
        await self._change(account, partial(self._source.remove_type, name), name, shown)

    async def _change(
        self, account: Account, change: Callable[[], None], name: str, shown: str | None
    ) -> None:
        if not account.administrator:
            raise NotAllowed(f"{account.user} is no administrator")
        async with self._changing:  # else two could be held against the same state
            now = (await self.refresh()).types.get(name)
            if shown is not None and shown != digest_of(now):
                raise Crossed(f"machine type {name} {'is another' if now else 'has gone'} by now")
            await asyncio.to_thread(change)
            logger.info("%s has changed machine type %s", account.user, printable(name))
            await self.refresh()

    async def is_ready(self) -> str:
        """Empty if requests can be answered; waits for what each of them waits for.

        A file system that hangs holds up all requests, and this one. Registries are not
        asked: one that is away is away for all replicas, and if all were taken out of
        service at once, clients would get a proxy's error in place of the hub's own, and
        no pull from another registry, no login and no page either. `metahub_hub_requests_total`
        with `refused_502` tells of registries.
        """
        await self.refresh()
        return ""


def _as_told(made: Made, account: Account) -> Made:
    """Who may pull the same need not know who else there is, and what they have."""
    if account.administrator or made.account == account.user:
        return made
    return replace(made, account="")
