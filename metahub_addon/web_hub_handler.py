"""What pages and API have in common: a hub, a way that is private, a session."""

from collections.abc import Awaitable
from typing import Any

from tornado.web import HTTPError, RequestHandler

from metahub_addon.hub_config import Account
from metahub_addon.hub_request import FORWARDERS, Way
from metahub_addon.own_addresses import is_own_address
from metahub_addon.web_handler import Handler, Refused
from metahub_addon.web_hub import WebHub
from metahub_addon.web_peer import Peer, read_peer
from metahub_addon.web_session import SESSION_SECONDS

NOT_PRIVATE = (
    "Others could read what is sent here. Give the hub a certificate "
    "(metahub_web_certificate), or put it behind a proxy that speaks TLS, is named in "
    "trusted_proxies and sends X-Forwarded-Proto: https."
)


class HubHandler(Handler):
    """A handler that needs the hub, and a way that nobody else can read."""

    peer: Peer

    @property
    def hub(self) -> WebHub:
        """The hub; a node has none."""
        hub = self.parts.hub()
        if hub is None:
            raise HTTPError(404)
        return hub

    def prepare(self) -> Awaitable[None] | None:
        """Refuse before anything is read that others could have read as well."""
        self.peer = read_peer(_way(self), self.hub.config.trusted_proxies)
        if not self.peer.private:
            raise Refused(403, NOT_PRIVATE)
        return None

    def is_foreign(self) -> bool:
        """True if a browser says that another site sends this (Fetch Metadata)."""
        site = self.request.headers.get("Sec-Fetch-Site", "none")
        return site not in ("same-origin", "none")

    @property
    def _session_name(self) -> str:
        # The prefix binds a cookie to this very host and to TLS (RFC 6265bis, 4.1.3.2).
        return "__Host-metahub" if self.peer.encrypted else "metahub"

    def account(self) -> Account | None:
        """Who is logged in."""
        cookie = self.get_cookie(self._session_name, "") or ""
        return self.parts.sessions.account(cookie, self.hub.config.accounts)

    def log_in(self, account: Account) -> None:
        """Begin a new session; the one before, whosever it was, ends."""
        self.log_out()
        cookie = self.parts.sessions.begin(account)
        self.keep(self._session_name, cookie, SESSION_SECONDS)

    def log_out(self) -> None:
        """End the session."""
        self.parts.sessions.end(self.get_cookie(self._session_name, "") or "")
        self.clear_cookie(self._session_name)

    def keep(self, name: str, value: str, seconds: int) -> None:
        """Set a cookie for as long."""
        self.set_cookie(name, value, max_age=seconds)

    def set_cookie(self, name: str, value: str | bytes, *args: Any, **kwargs: Any) -> None:
        """Every cookie, tornado's own as well, is kept from scripts and other sites."""
        kwargs |= {"httponly": True, "samesite": "Strict", "secure": self.peer.encrypted}
        kwargs["path"] = "/"
        super().set_cookie(name, value, *args, **kwargs)


def _way(handler: RequestHandler) -> Way:
    request, peer = handler.request, handler.request.remote_ip or ""
    # Several headers of one name count as one list (RFC 9110, 5.3).
    return Way(
        peer=peer,
        tls=request.protocol == "https",
        local=is_own_address(peer),
        forwarded_for=request.headers.get("X-Forwarded-For", ""),
        forwarded_proto=request.headers.get("X-Forwarded-Proto", ""),
        forwarded=any(name in request.headers for name in FORWARDERS),
    )
