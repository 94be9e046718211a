"""What the page and its API want of a hub."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from metahub_addon.hub import Matrix
from metahub_addon.hub_config import Account, HubConfig
from metahub_addon.recent import Gap, Made


class WebHub(Protocol):
    """The hub, as far as it is shown (hub.Hub is one)."""

    @property
    def config(self) -> HubConfig:
        """The file as it was last read."""
        ...

    async def refresh(self) -> HubConfig:
        """Read the file if it has changed."""
        ...

    async def log_in(self, user: str, password: str, address: str) -> Account:
        """The account of who logs in; raises LoginRefused."""
        ...

    async def matrix(self, account: Account, image: str) -> Matrix:
        """What each machine type of an account gets of an image; raises ImageProblem."""
        ...

    def decisions(self, account: Account) -> Sequence[Made]:
        """The newest first, of repositories that the account may pull."""
        ...

    def gaps(self, account: Account) -> Sequence[Gap]:
        """What was asked for and not there."""
        ...

    async def put_type(self, account: Account, text: Mapping[str, Any]) -> None:
        """Add or replace a machine type; raises InvalidYaml, ReadOnly and NotAllowed."""
        ...

    async def remove_type(self, account: Account, name: str) -> None:
        """Remove a machine type; raises InvalidYaml, ReadOnly and NotAllowed."""
        ...

    async def is_ready(self) -> str:
        """Empty: ready; else why not."""
        ...
