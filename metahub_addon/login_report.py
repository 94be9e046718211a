"""What `metahub login` found, as a table for people and as a structure for programs."""

from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from metahub_addon.hub_login import HubType, HubTypes, Picked
from metahub_addon.report import machine_json
from metahub_addon.runtime_login import LoginCommand, Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An account's types, how they fit this host, and the one to be (None: none)."""

    types: HubTypes
    picked: Picked
    chosen: HubType | None

    def command(
        self, runtime: Runtime | None, registry: str, plain_http: bool
    ) -> LoginCommand | None:
        """How a runtime is logged in as the chosen type; None without either."""
        if runtime is None or self.chosen is None:
            return None
        user = self.chosen.login
        return LoginCommand(runtime=runtime, registry=registry, user=user, plain_http=plain_http)


def login_json(found: Found, command: LoginCommand | None, done: bool) -> dict[str, Any]:
    """`machine_type`, `login` and `runtime` (null: none), `reason`, and the `types`."""
    chosen = found.chosen
    return {
        "account": found.types.account,
        "machine_type": chosen.machine.name if chosen else None,
        "login": chosen.login if chosen else None,
        "runtime": command.runtime.value if command else None,
        "logged_in": done,
        "reason": found.picked.reason,
        "types": [
            {
                **machine_json(one.machine),
                "login": one.login,
                "fits": verdict.fits,
                "chosen": one is chosen,
                "reasons": list(verdict.reasons),
            }
            for one, verdict in found.picked.verdicts
        ],
    }


def types_table(found: Found) -> Table:
    """Every machine type of the account: what it has, and whether this host is one."""
    table = Table(title=Text(f"machine types of {found.types.account}"), expand=False)
    for column in ("machine type", "platform", "features", "verdict"):
        table.add_column(column, overflow="fold")
    for one, verdict in found.picked.verdicts:
        chosen = one is found.chosen
        word = "chosen" if chosen else "fits" if verdict.fits else "no"
        table.add_row(
            Text(one.machine.name),
            Text(str(one.machine.platform)),
            Text(", ".join(map(str, one.machine.features)) or "generic"),
            Text(f"{word}: {'; '.join(verdict.reasons)}"),
            style="bold green" if chosen else "" if verdict.fits else "dim",
        )
    return table
