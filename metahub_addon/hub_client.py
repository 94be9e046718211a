"""Ask a hub for the machine types that an account may be."""

import json
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import httpx

from metahub_addon import __version__
from metahub_addon.bounded_body import UnreadableBody, read_body_now
from metahub_addon.credentials import Credentials
from metahub_addon.hub_routes import TYPES_PATH
from metahub_addon.printable import printable
from metahub_addon.runtime_login import Runtime, ca_place

_MAX_BYTES = 4 * 1024 * 1024
_MAX_MESSAGE = 300
_SECONDS = 15.0
_HUB = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252})|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?")


class HubError(Exception):
    """A hub that gave no list of types; the message names it and says why."""


class HubRefused(HubError):
    """A hub that does not let this account in, or not now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """A hub as `docker login` names it, `host[:port]`; `ca`: a file of certificates to trust."""

    registry: str
    plain_http: bool = False
    ca: Path | None = None

    @property
    def url(self) -> str:
        """Where the machine types are."""
        scheme = "http" if self.plain_http else "https"
        return f"{scheme}://{self.registry}{TYPES_PATH}"


def is_hub_name(text: str) -> bool:
    """True for `host[:port]`, without a scheme or a path."""
    found = _HUB.fullmatch(text)
    port = re.search(r":([0-9]+)$", text)
    return found is not None and (port is None or 0 < int(port[1]) < 65536)


def ask_types(hub: HubAddress, credentials: Credentials) -> bytes:
    """The hub's answer with the types of an account, as JSON.

    Trusts the public CAs, the system's, and the one given, or without one those that
    docker and podman trust for the hub. Raises HubRefused if the hub does not let the
    account in, HubError for all else.
    """
    auth = httpx.BasicAuth(credentials.username, credentials.password)
    headers = {
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": f"metahub/{__version__}",
    }
    try:
        with (
            httpx.Client(verify=_context(hub), timeout=_SECONDS, headers=headers) as client,
            # Redirects are not followed: the password is for the hub alone.
            client.stream("GET", hub.url, auth=auth) as answer,
        ):
            body = _read(hub, answer)
            status, after = answer.status_code, answer.headers.get("Retry-After", "")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise HubError(
            f"{hub.registry}: {type(error).__name__}: {error}{_hint(hub, error)}"
        ) from None
    if status == 200:
        return body
    if status in (401, 403, 429):
        wait = f" (try again in {after[:9]} s)" if after.isdigit() else ""
        raise HubRefused(f"{hub.registry}: the login is refused ({status}){_message(body)}{wait}")
    raise HubError(f"{hub.registry}: answered {status}, which no hub does{_message(body)}")


def _context(hub: HubAddress) -> ssl.SSLContext:
    context = httpx.create_ssl_context(verify=True)
    context.load_default_certs()
    # As in remote.py: private CAs often lack what Python 3.13 wants of them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    for file in [hub.ca] if hub.ca else _installed(hub.registry):
        try:
            context.load_verify_locations(file)
        except OSError as error:
            raise HubError(f"{file}: {error.strerror or error}") from error
    return context


def _installed(registry: str) -> Iterable[Path]:
    """All `*.crt` where the runtimes look for the CA of a registry."""
    for runtime in Runtime:
        yield from sorted(ca_place(runtime, registry).parent.glob("*.crt"))


def _hint(hub: HubAddress, error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" not in str(error):
        return ""
    place = ca_place(Runtime.DOCKER, hub.registry)
    return f"; name the hub's CA with --ca, or put it at {place}"


def _read(hub: HubAddress, answer: httpx.Response) -> bytes:
    try:
        return read_body_now(answer, _MAX_BYTES)
    except UnreadableBody as error:
        raise HubError(f"{hub.registry}: {error}") from error


def _message(body: bytes) -> str:
    """What an OCI error says (distribution spec, 'Error Codes'); empty if it is none."""
    try:
        message = json.loads(body)["errors"][0]["message"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return f": {printable(str(message))[:_MAX_MESSAGE]}"
