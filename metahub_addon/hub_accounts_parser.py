"""The accounts in a hub's file, and which passwords stand there in the clear."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from metahub_addon.hub_config import Account
from metahub_addon.passwords import is_hash
from metahub_addon.strict_keys import name_in, required, strict_keys, unique_texts
from metahub_addon.strict_yaml import Value

_KEYS = ("user", "password", "types", "type", "pull", "push", "features", "administrator")
# No `/` or `#`, which begin features, no `:` (RFC 7617), nothing that is escaped somewhere.
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}")
_PATTERN = re.compile(r"[a-z0-9._/*?!\[\]-]{1,255}")
# As crypt(5) begins: a hash of another kind, or a bcrypt hash that is not whole.
_OTHER_HASH = re.compile(r"\$[A-Za-z0-9-]+\$")

MakeHash = Callable[[str, str], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainPassword:
    """A password in the clear: where the text has it (in characters), and its hash."""

    user: str
    start: int
    end: int
    hash: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """The accounts by user, and the passwords that are to be replaced."""

    by_user: Mapping[str, Account]
    plain: tuple[PlainPassword, ...]


def parse_accounts(root: Value, text: str, types: Sequence[str], make_hash: MakeHash) -> Accounts:
    """Read `user` with `password`, and `accounts`; raises InvalidYaml.

    `text` is the whole file's, `make_hash` gives the hash of a user's password. Two logins
    that could be one and the same are an error, as are a type or user named twice.
    """
    given = root.mapping()
    read: dict[str, Account] = {}
    users: dict[str, Value] = {}
    plain: list[PlainPassword] = []
    for value, is_own in _entries(root, given):
        keys = given if is_own else strict_keys(value, _KEYS)
        user = _user(required(value, keys, "user"))
        if user in read:
            raise keys["user"].error(f"{user} is given twice")
        password, found = _password(required(value, keys, "password"), user, text, make_hash)
        plain += found
        read[user] = (
            Account(user=user, password=password, types=tuple(types))
            if is_own
            else _account(keys, user, password, types)
        )
        users[user] = keys["user"]
    if not read:
        raise root.error("neither user nor accounts is given")
    for user, value in users.items():
        _check_logins(value, read[user], read)
    return Accounts(read, tuple(plain))


def hashed(text: str, plain: Sequence[PlainPassword]) -> str:
    """The text with each password in the clear replaced by its hash, all else as it was."""
    for password in sorted(plain, key=lambda found: found.start, reverse=True):
        text = f'{text[: password.start]}"{password.hash}"{text[password.end :]}'
    return text


def _entries(root: Value, given: Mapping[str, Value]) -> Iterator[tuple[Value, bool]]:
    """Each account's value, and whether it is MetaHub's own: `user` beside `types`."""
    if "user" in given or "password" in given:
        yield root, True
    if "accounts" in given:
        yield from ((item, False) for item in given["accounts"].items())


def _account(keys: Mapping[str, Value], user: str, password: str, types: Sequence[str]) -> Account:
    return Account(
        user=user,
        password=password,
        types=_types(keys["types"], types) if "types" in keys else tuple(types),
        own_type=name_in(keys["type"], types, "machine type") if "type" in keys else "",
        pull=_patterns(keys["pull"]) if "pull" in keys else ("*",),
        push=_patterns(keys["push"]) if "push" in keys else (),
        # Who is bound to some types would not be by naming features.
        features=keys["features"].boolean() if "features" in keys else "types" not in keys,
        administrator=keys["administrator"].boolean() if "administrator" in keys else False,
    )


def _user(value: Value) -> str:
    if not _USER.fullmatch(value.text()):
        raise value.error(f"{value.text()!r} is no user's name (letters, digits, . _ @ + -)")
    return value.text()


def _types(value: Value, types: Sequence[str]) -> tuple[str, ...]:
    named = unique_texts(value)
    for item in value.items():
        name_in(item, types, "machine type")
    return named


def _patterns(value: Value) -> tuple[str, ...]:
    patterns = unique_texts(value)
    for item in value.items():
        if not _PATTERN.fullmatch(item.text()):
            raise item.error(f"{item.text()!r} matches no repository (lower case; * ? are wild)")
    return patterns


def _password(
    value: Value, user: str, text: str, make_hash: MakeHash
) -> tuple[str, Sequence[PlainPassword]]:
    """The hash, and where it is to be written. No error quotes the password."""
    node = value.node
    if not isinstance(node, yaml.ScalarNode) or node.tag != "tag:yaml.org,2002:str":
        raise value.error("is not a string (put it in quotes)")
    if is_hash(node.value):
        return node.value, ()
    if _OTHER_HASH.match(node.value):
        raise value.error("is no bcrypt hash, whole and of a cost up to 16 (metahub password)")
    start, end = node.start_mark.index, node.end_mark.index
    if text[start] in "&!|>":
        raise value.error("is in the clear; to be hashed here it must stand in plain or quotes")
    try:
        made = make_hash(user, node.value)
    except ValueError as error:
        raise value.error(str(error)) from None
    return made, (PlainPassword(user=user, start=start, end=end, hash=made),)


def _check_logins(value: Value, account: Account, accounts: Mapping[str, Account]) -> None:
    """No login of an account may be one of another's whose name it begins with.

    Of two names for one login, one account's always begins with the other's and a hyphen.
    """
    parts = account.user.split("-")
    own = _names(account)
    for at in range(1, len(parts)):
        shorter, rest = "-".join(parts[:at]), "-".join(parts[at:])
        if shorter not in accounts:
            continue
        logins = {rest, *(f"{rest}-{name}" for name in own)}
        for name in sorted(logins & _names(accounts[shorter])):
            both = f"{shorter} and {account.user}"
            raise value.error(f"the login {shorter}-{name} would be that of both {both}")


def _names(account: Account) -> set[str]:
    return {*account.types, account.own_type} - {""}
