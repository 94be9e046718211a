"""Ask a registry as the hub: with its own credentials, whatever way the registry wants them."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

from metahub_addon.printable import printable
from metahub_addon.registry_http import RegistryAnswer, RegistryHttp
from metahub_addon.registry_login import CredentialsSource, Place, RegistryLogin
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import FetchError, Registry, Repository
from metahub_addon.upstream_credentials import CredentialsError

logger = logging.getLogger("metahub")


class RegistryClient:
    """Requests to registries, and the Authorization for requests that others carry.

    `seconds` bounds each exchange; `proxy_auth` is the `user:password` for upstream
    proxies, or empty. `clock` is in seconds and never goes back.

    FetchError is raised where there is no answer, or nothing to ask with (credentials, a
    token). Its status is then the token server's, if that is about the login (401, 403, 429).
    """

    def __init__(
        self,
        tls: TlsSettings,
        seconds: float,
        credentials: CredentialsSource,
        proxy_auth: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = RegistryHttp(tls, seconds, proxy_auth)
        self._login = RegistryLogin(credentials, self._probe, self._http.ask_token, clock)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def get(self, repository: Repository, digest: str, accept: str) -> tuple[str, bytes]:
        """The Content-Type and body of a manifest; raises FetchError."""
        return await self.ask(repository, f"manifests/{digest}", accept, {})

    async def ask(
        self, repository: Repository, path: str, accept: str, params: Mapping[str, str]
    ) -> tuple[str, bytes]:
        """The Content-Type and body of a path below a repository; raises FetchError."""
        query = f"?{urlencode(params)}" if params else ""
        answer = await self.request(repository, "GET", path + query, accept=accept)
        if answer.status != 200:
            raise FetchError(f"the registry answered {answer.status}", answer.status)
        return answer.headers.get("content-type", ""), answer.body

    async def request(
        self,
        repository: Repository,
        method: str,
        path: str,
        *,
        accept: str = "",
        actions: str = "pull",
        headers: Mapping[str, str] | None = None,
    ) -> RegistryAnswer:
        """The answer to a path (with its query) below a repository; no name: below /v2/.

        What the client showed (`repository.authorization`) goes nowhere. Raises FetchError.
        """
        place = Place(repository.registry, repository.name, actions)
        given = {**(headers or {}), **({"Accept": accept} if accept else {})}
        with _told(repository.registry):
            sent = await self._login.known(place)
            answer = await self._http.ask(repository, method, path, given, sent)
            if answer.status != 401:
                return answer
            self._login.learn(place, answer.headers.get("www-authenticate", ""))
            self._login.forget(place, sent)
            again = await self._login.known(place)
        if again == sent:
            return answer
        return await self._http.ask(repository, method, path, given, again)

    async def authorization(self, registry: Registry, name: str, actions: str = "pull") -> str:
        """The Authorization for a request that somebody else carries; empty: it needs none.

        May ask the registry how it wants to be asked. Raises FetchError.
        """
        with _told(registry):
            return await self._login.sure(Place(registry, name, actions))

    def refused(
        self, registry: Registry, name: str, actions: str, authorization: str, challenge: str = ""
    ) -> bool:
        """Forget an authorization that the registry answered 401 to; True: one more try may help.

        The next `authorization()` is then another. `challenge` is that answer's
        WWW-Authenticate, to learn from. Raises FetchError for a realm that must not be asked.
        """
        place = Place(registry, name, actions)
        learned = bool(challenge) and self._login.learn(place, challenge)
        return self._login.forget(place, authorization) or learned

    async def _probe(self, registry: Registry) -> RegistryAnswer:
        return await self._http.ask(Repository(registry=registry, name=""), "GET", "", {})


@contextmanager
def _told(registry: Registry) -> Iterator[None]:
    """Turn credentials that can't be had into FetchError, which does not tell clients the file."""
    try:
        yield
    except CredentialsError as error:
        logger.warning("%s: %s", registry.authority, printable(str(error)))
        raise FetchError("the hub's own credentials for the registry can't be had") from error
