"""Where the secrets of all who take part have come, and where they must not."""

import re
from collections.abc import Mapping

from hub.asking import encoded
from hub.hubs import (
    ANY_PASSWORD,
    HELPER_PASSWORD,
    HELPER_USER,
    LIMITED_PASSWORD,
    PUSHER_PASSWORD,
)
from hub.place import Place
from hub.upstreams import OTHER_PASSWORD, OTHER_USER

_TOKEN = re.compile(r'"(?:access_)?token": ?"([^"]+)"')
_SUFFIXES = ("", "-type1", "-type2", "-type4", "-type9")


def find_secrets(place: Place) -> dict[str, list[str]]:
    """Where secrets have come that must not: each place, with what was found there."""
    clients = {
        f"{user}'s": [password, *(encoded(user + suffix, password) for suffix in _SUFFIXES)]
        for user, password in (
            ("qnib", ANY_PASSWORD),
            ("limited", LIMITED_PASSWORD),
            ("pusher", PUSHER_PASSWORD),
        )
    }
    tokens = set(_TOKEN.findall(_read(place, "auth.down")))
    hub = {
        "the hub's": [HELPER_PASSWORD, encoded(HELPER_USER, HELPER_PASSWORD)],
        "the other registry's": [OTHER_PASSWORD, encoded(OTHER_USER, OTHER_PASSWORD)],
        "a token": sorted(tokens),
    }
    log = place.daemons["guarded"].log
    return {
        "tokens": [str(len(tokens))],
        "client's at the registry": _found(clients, _read(place, "locked.up")),
        "client's at the issuer": _found(clients, _read(place, "auth.up")),
        "hub's at the registry": _found(
            {name: hub[name] for name in ("the hub's", "the other registry's")},
            _read(place, "locked.up"),
        ),
        "hub's at the client": _found(hub, _read(place, "guarded.down")),
        "in the log": _found({**clients, **hub}, log),
        "headers in the log": re.findall(r"(?i).*(?:authorization:|basic [a-z0-9+/]{8}).*", log),
        "clients' in the hub's file": _found(clients, _read(place, "guarded.yaml")),
        "seen at the client's side": _found(clients, _read(place, "guarded.up"))[:1],
        "seen at the issuer": _found(hub, _read(place, "auth.up")),
    }


def _found(secrets: Mapping[str, list[str]], text: str) -> list[str]:
    return [name for name, values in secrets.items() if any(value in text for value in values)]


def _read(place: Place, name: str) -> str:
    return (place.folder / name).read_bytes().decode("latin-1")
