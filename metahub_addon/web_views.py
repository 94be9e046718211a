"""Machine types, images and what a machine type gets, as the pages show them: no HTML."""

from dataclasses import dataclass

from metahub_addon.hub_config import Account, HubConfig
from metahub_addon.index import Child
from metahub_addon.machine import MachineType
from metahub_addon.selection import Decision


@dataclass(frozen=True, slots=True)
class TypeRow:
    """A machine type, and what to log in as to be it; empty: this account may not."""

    machine: MachineType
    login: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A child of an index: its digest, whole and short, and what it needs."""

    digest: str
    short: str
    platform: str
    requires: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Given:
    """What a machine type gets (None: nothing), and why."""

    machine: MachineType
    image: Image | None
    reason: str


def type_rows(config: HubConfig, account: Account) -> tuple[TypeRow, ...]:
    """The machine types that an account may be; all of them for an administrator."""
    own = config.types_of(account)
    shown = config.types if account.administrator else own
    return tuple(
        TypeRow(machine, account.login_of(name) if name in own else "")
        for name, machine in shown.items()
    )


def view_image(child: Child) -> Image:
    """A child as it is shown."""
    return Image(
        digest=child.digest,
        short=child.digest.partition(":")[2][:12],
        platform=str(child.platform or "none"),
        requires=tuple(map(str, child.requires)),
    )


def given(decision: Decision) -> Given:
    """What comes out of a decision."""
    chosen = decision.chosen
    return Given(decision.machine, view_image(chosen) if chosen else None, decision.reason)
