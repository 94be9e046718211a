"""What an account may pull and push, by the repository's name at the hub."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from metahub_addon.hub_config import Account


def may_pull(account: Account, repository: str) -> bool:
    """True if a pattern of the account's `pull` matches the whole name."""
    return _matches(account.pull, repository)


def may_push(account: Account, repository: str) -> bool:
    """True if a pattern of the account's `push` matches the whole name."""
    return _matches(account.push, repository)


def _matches(patterns: Iterable[str], repository: str) -> bool:
    return any(fnmatchcase(repository, pattern) for pattern in patterns)
