"""What the hub logs in with at its upstreams: password files, docker's configuration, helpers."""

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from cachetools import TTLCache

from metahub_addon.credential_helper import HelperError, ask_helper
from metahub_addon.credentials import Credentials
from metahub_addon.docker_config import (
    DockerConfig,
    Helper,
    InvalidDockerConfig,
    parse_docker_config,
)
from metahub_addon.hub_config import UpstreamRule
from metahub_addon.shared_work import SharedWork
from metahub_addon.upstream import Registry

_MAX_FILE = 1024 * 1024
_HELPER_SECONDS = 300.0
_MAX_HELPERS = 1024

_Signature = tuple[int, int, int]


class CredentialsError(Exception):
    """Credentials that could not be had; the message names file or helper, and no secret."""


@dataclass(frozen=True, slots=True)
class _Read:
    """A file as it was when it was read."""

    signature: _Signature
    content: str | DockerConfig = field(repr=False)


class UpstreamCredentials:
    """The credentials of each upstream, taken up again whenever their file changes.

    What a helper says is kept for five minutes. `clock` is in seconds and never goes back.
    """

    def __init__(
        self, upstreams: Iterable[UpstreamRule], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._files: dict[str, _Read] = {}
        self._helped: TTLCache[Helper, Credentials | None] = TTLCache(
            _MAX_HELPERS, _HELPER_SECONDS, clock
        )
        self._asking = SharedWork[Credentials | None]()
        self.use(upstreams)

    def use(self, upstreams: Iterable[UpstreamRule]) -> None:
        """Take up changed upstreams.

        Of two for one registry the first with credentials counts: the registry of
        mitmdump's reverse mode may be in the file, too.
        """
        rules: dict[tuple[str, str, int, str], UpstreamRule] = {}
        for rule in upstreams:
            known = rules.get(_key(rule.registry))
            if known is None or not (known.password_file or known.docker_config):
                rules[_key(rule.registry)] = rule
        self._rules = rules

    async def credentials_for(self, registry: Registry) -> Credentials | None:
        """What to log in with at a registry; None: nothing. Raises CredentialsError.

        A registry is told by its address as well as by its authority: a Host header alone
        gets nobody's password.
        """
        rule = self._rules.get(_key(registry))
        if rule is None:
            return None
        if rule.password_file:
            password = self._read(rule.password_file, _password)
            return Credentials(username=rule.username, password=str(password))
        if rule.docker_config:
            config = self._read(rule.docker_config, parse_docker_config)
            found = config.lookup(registry.authority) if isinstance(config, DockerConfig) else None
            return await self._help(found) if isinstance(found, Helper) else found
        return None

    def _read(
        self, path: str, parse: Callable[[str, str], str | DockerConfig]
    ) -> str | DockerConfig:
        try:
            status = os.stat(path)
            signature = status.st_mtime_ns, status.st_size, status.st_ino
            known = self._files.get(path)
            if known is not None and known.signature == signature:
                return known.content
            if status.st_size > _MAX_FILE:
                raise CredentialsError(f"{path}: is larger than {_MAX_FILE} bytes")
            content = parse(Path(path).read_text(encoding="utf-8"), path)
        except OSError as error:
            raise CredentialsError(f"{path}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            # The error holds the bytes.
            raise CredentialsError(f"{path}: is not UTF-8") from None
        except InvalidDockerConfig as error:
            raise CredentialsError(str(error)) from None
        self._files[path] = _Read(signature, content)
        return content

    async def _help(self, helper: Helper) -> Credentials | None:
        if helper in self._helped:
            return self._helped[helper]
        return await self._asking.do(helper, lambda: self._ask(helper))

    async def _ask(self, helper: Helper) -> Credentials | None:
        try:
            found = await asyncio.to_thread(ask_helper, helper.name, helper.server)
        except HelperError as error:
            raise CredentialsError(str(error)) from None
        self._helped[helper] = found
        return found


def _key(registry: Registry) -> tuple[str, str, int, str]:
    host = registry.host.lower()
    default = ":443" if registry.scheme == "https" else ":80"
    return registry.scheme, host, registry.port, registry.authority.lower().removesuffix(default)


def _password(text: str, path: str) -> str:
    """The file's text without the line end that editors leave behind."""
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        raise CredentialsError(f"{path}: is empty")
    return password
