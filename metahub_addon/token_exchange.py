"""How a token server is asked, and what it answers; nothing is sent from here.

Source: the distribution's 'Token Authentication Specification' and 'OAuth2 Token
Authentication'.
"""

import base64
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from metahub_addon.credentials import Credentials
from metahub_addon.registry_tokens import IssuedToken
from metahub_addon.token_protocol import Wanted
from metahub_addon.upstream import FetchError

MAX_TOKEN_ANSWER = 65536
# What the specification says where the server does not.
_DEFAULT_SECONDS = 60.0
_MAX_SECONDS = 86400.0
_CLIENT = "metahub"
_IDENTITY_TOKEN = "<token>"  # noqa: S105 (docker's user name for one)
# RFC 6750: anything else cannot be sent, and the error would quote it.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A request to a token server; with a `form` it is a POST."""

    url: str
    authorization: str = field(default="", repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)


def basic(credentials: Credentials | None) -> str:
    """The Authorization of a user and password (RFC 7617); empty without."""
    if credentials is None or not credentials.username or not credentials.password:
        return ""
    pair = f"{credentials.username}:{credentials.password}"
    return f"Basic {base64.b64encode(pair.encode('utf-8', 'surrogateescape')).decode()}"


def token_requests(wanted: Wanted, credentials: Credentials | None) -> tuple[TokenRequest, ...]:
    """How to ask for a token; the second is for a server that does not know the first."""
    url = _asked(wanted)
    if credentials is None or not credentials.identity_token:
        return (TokenRequest(url, basic(credentials)),)
    form = {
        "grant_type": "refresh_token",
        "service": wanted.service,
        "client_id": _CLIENT,
        "scope": wanted.scope,
        "refresh_token": credentials.identity_token,
    }
    user = credentials.username or _IDENTITY_TOKEN
    named = Credentials(username=user, password=credentials.identity_token)
    form = {name: value for name, value in form.items() if value}
    return TokenRequest(wanted.realm, form=form), TokenRequest(url, basic(named))


def read_token(body: bytes, date: str) -> IssuedToken:
    """The token in a server's answer; raises FetchError.

    How old it is already is told by the server's own clock, `date` (its Date header): ours
    may differ.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        # The error and its document quote the answer.
        raise FetchError("the token server's answer is not JSON") from None
    answer = answer if isinstance(answer, dict) else {}
    token = answer.get("token") or answer.get("access_token")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        raise FetchError("the token server's answer holds no usable token")
    seconds = _lifetime(answer.get("expires_in"))
    age = _age(answer.get("issued_at"), date)
    return IssuedToken(token, seconds - min(max(age, 0.0), seconds))


def _asked(wanted: Wanted) -> str:
    """The URL to GET: scopes are given one by one, and the realm's own query stays."""
    asked = [("service", wanted.service)] if wanted.service else []
    asked += [("scope", scope) for scope in wanted.scope.split(" ") if scope]
    parts = urlsplit(wanted.realm)
    query = urlencode([*parse_qsl(parts.query, keep_blank_values=True), *asked])
    return parts._replace(query=query, fragment="").geturl()


def _lifetime(seconds: Any) -> float:
    number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not number or not 0 < seconds < math.inf:
        return _DEFAULT_SECONDS
    return float(min(seconds, _MAX_SECONDS))


def _age(issued_at: Any, date: str) -> float:
    """The seconds since a token was issued (RFC 3339); 0 where it can't be told."""
    try:
        issued = datetime.fromisoformat(issued_at)
        now = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return 0.0
    return (_aware(now) - _aware(issued)).total_seconds()


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
