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
        """The newest first, of repositories that the account may pull.

        An account's name is empty where this one is not told it.
        """
        ...

    def gaps(self, account: Account) -> Sequence[Gap]:
        """What was asked for and not there."""
        ...

    async def put_type(
        self, account: Account, text: Mapping[str, Any], shown: str | None = None
    ) -> None:
        """Add or replace a machine type; raises InvalidYaml, ReadOnly, NotAllowed and Crossed.

        `shown`: the digest of what it was changed from (empty: nothing; None: no matter).
        """
        ...

    async def remove_type(self, account: Account, name: str, shown: str | None = None) -> None:
        """Remove a machine type; raises what put_type does."""
        ...

    async def is_ready(self) -> str:
        """Empty: requests are answered, whatever registries do; else why not."""
        ...
