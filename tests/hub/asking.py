"""Requests to the guarded hub as no client would send them, byte for byte."""

import base64
import http.client
import json
import ssl
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from hub.place import Place

HOST = "guarded.test"
_MOST_TURNS = 4


@cache
def _trust(ca: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca))


def ask(
    place: Place,
    method: str,
    path: str,
    login: tuple[str, str] = ("", ""),
    headers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Send a request exactly so; the answer's status, headers and errors.

    A 307 is followed a few times, as all clients do: a hub has them ask again by it.
    """
    for _ in range(_MOST_TURNS):
        got = _ask_once(place, method, path, login, headers or {})
        if got["status"] != 307:
            break
        path = got["headers"]["location"]
    return got


def _ask_once(
    place: Place, method: str, path: str, login: tuple[str, str], headers: Mapping[str, str]
) -> dict[str, Any]:
    sent = dict(headers)
    if any(login):
        sent["Authorization"] = f"Basic {encoded(*login)}"
    connection = http.client.HTTPSConnection(HOST, 443, timeout=20, context=_trust(place.ca))
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in {"Content-Length": "0", **sent}.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    found = {name.lower(): value for name, value in answer.getheaders()}
    try:
        errors = json.loads(body)["errors"]
    except (ValueError, KeyError, TypeError):
        errors = []
    return {
        "status": answer.status,
        "headers": found,
        "errors": errors,
        "body": body[:400].decode("utf-8", "replace"),
    }


def encoded(user: str, password: str) -> str:
    """A login as Basic shows it."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()
