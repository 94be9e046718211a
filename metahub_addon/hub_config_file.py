"""A hub's file: taken up again whenever it changes, and changed where a hub may do so."""

import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from metahub_addon.file_replacement import replace_file, sole_writer
from metahub_addon.hub_accounts_parser import PlainPassword, hashed
from metahub_addon.hub_config import DEFAULT_PLATFORM, HubConfig, ReadOnly
from metahub_addon.hub_config_parser import ParsedHub, parse_hub_config
from metahub_addon.machine import MachineType
from metahub_addon.named_files import unreadable_files
from metahub_addon.oci_platform import Platform
from metahub_addon.passwords import hash_password, matches
from metahub_addon.printable import printable
from metahub_addon.profile_parser import parse_machine
from metahub_addon.stillness import Stillness
from metahub_addon.strict_yaml import InvalidYaml, read_yaml
from metahub_addon.types_editor import put_type
from metahub_addon.types_removal import remove_type

logger = logging.getLogger(__name__)

# When it was changed, its size, and the inode: another one has come in one step.
_Signature = tuple[int, int, int] | None
_REST_SECONDS = 1.0


class HubConfigFile:
    """The configuration that a file holds; several hubs may share it.

    Passwords in the clear are replaced by their hashes in the file, or kept as such in
    memory where it can't be written. The constructor raises InvalidYaml; later a broken
    file is reported once for each change, and the last good configuration stays. All but
    `config` and `is_stale` may block, but who reads never waits for who writes.
    A file that takes the place of another is taken up at once; one that is written in place
    when it has been still for `rest` seconds. `platform` is that of types which tell none.
    """

    def __init__(
        self,
        path: Path,
        platform: Platform = DEFAULT_PLATFORM,
        hash_password: Callable[[str], str] = hash_password,
        rest: float = _REST_SECONDS,
    ) -> None:
        self._stillness = Stillness(rest)
        self._path = path
        self._platform = platform
        self._hash_password = hash_password
        self._lock = Lock()  # of the next two: they belong together
        self._signature: _Signature = None
        self.config = HubConfig(types={}, accounts={})
        text, plain = self._read()
        if plain:
            self._hide_passwords(text, plain, self._signature)

    def is_stale(self) -> bool:
        """True if the file has changed since it was read, and is whole; costs a stat."""
        found, known = self._sign(), self._signature
        if found == known:
            return False
        is_another = found is None or known is None or found[-1] != known[-1]
        return is_another or self._stillness.rests(found)

    def current(self) -> HubConfig:
        """The configuration; reads the file if it has changed."""
        with self._lock:  # one after the other: the newest is taken up last
            if self.is_stale():
                self._take_up()
            return self.config

    def put_type(self, text: Mapping[str, Any]) -> None:
        """Add a machine type, by the keys of a profile, or replace the one of its name.

        The file's comments stay. Raises InvalidYaml or ReadOnly; then nothing has changed.
        """
        asked = read_yaml(json.dumps(dict(text)), "request", "machine type")
        machine = parse_machine(asked, lambda: self._platform)
        edit = partial(put_type, source=str(self._path), machine=text)
        self._change(edit, machine.name, machine)
        logger.info("%s: machine type %s was put", self._path, machine.name)

    def remove_type(self, name: str) -> None:
        """Remove a machine type that nothing names any longer.

        Raises InvalidYaml, which tells what still does, or ReadOnly; then nothing has changed.
        """
        edit = partial(remove_type, source=str(self._path), name=name)
        self._change(edit, name, None)
        logger.info("%s: machine type %s was removed", self._path, printable(name))

    def _take_up(self) -> None:
        try:
            text, plain = self._read()
        except InvalidYaml as error:
            logger.warning("%s (the last good configuration stays)", printable(str(error)))
            return
        logger.info("%s: taken up, %d machine types", self._path, len(self.config.types))
        if plain:
            hiding = (text, plain, self._signature)
            Thread(target=self._hide_passwords, args=hiding, name="metahub-hide").start()

    def _read(self) -> tuple[str, Sequence[PlainPassword]]:
        """Take up the file; the result is its text and what of it is to be hidden."""
        self._signature = self._sign()
        text = self._text()
        parsed = self._parse(text)
        self.config = parsed.config
        for fault in unreadable_files(self.config):
            logger.warning("%s: %s", self._path, printable(fault))
        return text, parsed.plain

    def _hide_passwords(
        self, text: str, plain: Sequence[PlainPassword], signature: _Signature
    ) -> None:
        users = ", ".join(one.user for one in plain)
        try:
            with sole_writer(self._path):
                if self._text() != text:
                    return  # another hub was faster, or an editor: it is stale and read again
                hidden = _signature_of(replace_file(self._path, hashed(text, plain).encode()))
            with self._lock:
                if self._signature == signature:  # else another text was taken up meanwhile
                    self._signature = hidden
        except InvalidYaml:
            return  # it has gone: so it is read again
        except OSError as error:
            said = "%s: holds passwords in the clear and can't be written (%s): %s"
            logger.warning(said, self._path, error.strerror, users)
        else:
            logger.info("%s: passwords replaced by their hashes: %s", self._path, users)

    def _change(self, edit: Callable[[str], str], name: str, machine: MachineType | None) -> None:
        try:
            with sole_writer(self._path):
                signature, config = self._edit(edit, name, machine)
                with self._lock:  # in the order in which they were written
                    self._signature, self.config = signature, config
        except OSError as error:
            raise ReadOnly(f"{self._path}: can't be written: {error.strerror}") from error

    def _edit(
        self, edit: Callable[[str], str], name: str, machine: MachineType | None
    ) -> tuple[_Signature, HubConfig]:
        signature = self._sign()
        text = self._text()
        parsed = self._parse(text)
        edited = edit(hashed(text, parsed.plain))
        config = self._parse(edited).config
        if config.types.get(name) != machine or _rest(config, name) != _rest(parsed.config, name):
            raise InvalidYaml(f"{self._path}:1: types: can't be changed here, edit the file")
        if edited != text:
            signature = _signature_of(replace_file(self._path, edited.encode()))
        return signature, config

    def _parse(self, text: str) -> ParsedHub:
        return parse_hub_config(text, str(self._path), self._platform, self._hash)

    def _hash(self, user: str, password: str) -> str:
        """The hash that is known already: a new one would end the user's sessions."""
        known = self.config.accounts.get(user)
        if known is not None and matches(password, known.password):
            return known.password
        return self._hash_password(password)

    def _text(self) -> str:
        try:
            return self._path.read_bytes().decode()
        except OSError as error:
            raise InvalidYaml(f"{self._path}: cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:  # whose text would quote the file
            raise InvalidYaml(f"{self._path}: cannot be read: is not UTF-8") from None

    def _sign(self) -> _Signature:
        try:
            return _signature_of(os.stat(self._path))
        except OSError:
            return None


def _signature_of(status: os.stat_result) -> _Signature:
    return status.st_mtime_ns, status.st_size, status.st_ino


def _rest(config: HubConfig, name: str) -> HubConfig:
    """All of a configuration that has nothing to do with a machine type."""
    accounts = {
        user: replace(account, types=tuple(other for other in account.types if other != name))
        for user, account in config.accounts.items()
    }
    types = {other: machine for other, machine in config.types.items() if other != name}
    return replace(config, types=types, accounts=accounts)
