"""Machine types in JSON: to read, and for administrators to change.

Each has an ETag; a change with If-Match (RFC 9110, 13.1.1) is refused with 409 where the
machine type is another by now. Without, the last change wins.
"""

import json
from collections.abc import Mapping
from typing import Any

from metahub_addon.hub import Crossed, NotAllowed
from metahub_addon.hub_config import ReadOnly
from metahub_addon.machine import MachineType
from metahub_addon.report import machine_json
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.type_digest import digest_of
from metahub_addon.web_api_handler import ApiHandler
from metahub_addon.web_handler import Refused
from metahub_addon.web_views import TypeRow, type_rows

_NAMES = ("name", "machine_type")


class TypesApi(ApiHandler):
    """All machine types of the account."""

    def get(self) -> None:
        """In the file's order."""
        rows = type_rows(self.hub.config, self.user)
        self.say({"account": self.user.user, "types": [_type_json(row) for row in rows]})


class TypeApi(ApiHandler):
    """One machine type."""

    def get(self, name: str) -> None:
        """It, if the account may be it."""
        rows = type_rows(self.hub.config, self.user)
        found = next((row for row in rows if row.machine.name == name), None)
        if found is None:
            raise Refused(404, f"there is no machine type {name}")
        self._say_type(found)

    async def put(self, name: str) -> None:
        """Add (201) or replace (200): an object with the keys of a machine type."""
        self._want_administrator()
        text = self._body()
        if any(text.get(key, name) != name for key in _NAMES):
            raise Refused(400, f"name: is not {name}, as in the path")
        kept = {key: value for key, value in text.items() if key not in _NAMES}
        is_new, shown = name not in self.hub.config.types, self._shown(name)
        try:
            await self.hub.put_type(self.user, {"name": name, **kept}, shown)
        except InvalidYaml as error:
            raise Refused(400, str(error)) from None
        except (ReadOnly, NotAllowed, Crossed) as error:
            raise _refusal(error) from None
        self.set_status(201 if is_new else 200)
        self._say_type(self._as_it_is(name))

    async def delete(self, name: str) -> None:
        """Remove (204)."""
        self._want_administrator()
        if name not in self.hub.config.types:
            raise Refused(404, f"there is no machine type {name}")
        try:
            await self.hub.remove_type(self.user, name, self._shown(name))
        except InvalidYaml as error:
            raise Refused(409, str(error)) from None
        except (ReadOnly, NotAllowed, Crossed) as error:
            raise _refusal(error) from None
        self.set_status(204)
        self.finish()

    def _want_administrator(self) -> None:
        if not self.user.administrator:
            raise Refused(403, f"{self.user.user} is no administrator")

    def _body(self) -> Mapping[str, Any]:
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refused(415, "Content-Type: is not application/json")
        try:
            text = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(text, dict):
            raise Refused(400, "the body is not an object")
        return text

    def _shown(self, name: str) -> str | None:
        """The digest that a change was made from, by If-Match; None: it does not say.

        One of its tags must be that of now, or `*` where there is a machine type at all.
        """
        wanted = self.request.headers.get("If-Match")
        if wanted is None:
            return None
        machine = self.hub.config.types.get(name)
        tags = {tag.strip() for tag in wanted.split(",")}
        if machine is None or not tags & {"*", _tag(machine)}:
            raise Refused(409, f"If-Match: machine type {name} is another by now, or has gone")
        return digest_of(machine)

    def _say_type(self, row: TypeRow) -> None:
        self.set_header("ETag", _tag(row.machine))
        self.say(_type_json(row))

    def _as_it_is(self, name: str) -> TypeRow:
        machine = self.hub.config.types.get(name)
        if machine is None:  # another replica was faster
            raise Refused(409, f"{name} was removed at the same time")
        # The account as it is after the change: it may be the new type.
        account = self.hub.config.accounts.get(self.user.user, self.user)
        own = self.hub.config.types_of(account)
        return TypeRow(machine, account.login_of(name) if name in own else "")


def _type_json(row: TypeRow) -> Mapping[str, Any]:
    return {**machine_json(row.machine), "login": row.login or None}


def _tag(machine: MachineType) -> str:
    return f'"{digest_of(machine)}"'


def _refusal(error: Exception) -> Refused:
    return Refused(403 if isinstance(error, NotAllowed) else 409, str(error))


TYPES_API = (
    (r"/api/machine-types", TypesApi),
    (r"/api/machine-types/([^/]+)", TypeApi),
)
