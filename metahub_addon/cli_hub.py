"""The commands `metahub login` and `metahub password`, for hubs."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import click
from rich.console import Console

from metahub_addon.credentials import Credentials
from metahub_addon.detect import detect
from metahub_addon.hub_client import HubAddress, HubError, HubRefused, ask_types, is_hub_name
from metahub_addon.hub_login import (
    HubType,
    InvalidTypes,
    UnknownType,
    named_type,
    parse_types,
    pick,
)
from metahub_addon.login_report import Found, login_json, types_table
from metahub_addon.machine import MachineType
from metahub_addon.password_input import NoPassword, read_credentials, read_new_password
from metahub_addon.passwords import MAX_ROUNDS, MIN_ROUNDS, hash_password
from metahub_addon.printable import printable
from metahub_addon.profile_file import load_profile
from metahub_addon.profile_parser import InvalidProfile
from metahub_addon.runtime_login import (
    LoginCommand,
    Runtime,
    RuntimeLoginError,
    ca_place,
    find_runtime,
    log_in,
)
from metahub_addon.this_host import ThisHost

_Command = TypeVar("_Command", bound=Callable[..., None])
_PATH = click.Path(path_type=Path, dir_okay=False)
_LOGIN_OPTIONS = (
    click.option("--registry", required=True, metavar="HOST[:PORT]", help="The hub."),
    click.option("--user", metavar="ACCOUNT", help="The account at the hub. Default: ask."),
    click.option("--password-stdin", is_flag=True, help="Read the password from standard input."),
    click.option("--password-file", type=_PATH, help="Read the password from a file."),
    click.option(
        "--runtime",
        type=click.Choice([*(one.value for one in Runtime), "auto"]),
        default="auto",
        show_default=True,
        help="What to log in; auto: docker if it is here, else podman.",
    ),
    click.option("--type", "type_name", metavar="NAME", help="Be this machine type, fit or not."),
    click.option("--profile", type=_PATH, help="What this host is. Default: detect it."),
    click.option("--ca", type=_PATH, help="A file of certificates to trust, too."),
    click.option("--plain-http", is_flag=True, help="Ask the hub without TLS."),
    click.option("--dry-run", is_flag=True, help="Pick the machine type, but log nothing in."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables."),
    click.option(
        "--metadata/--no-metadata",
        default=True,
        help="Ask the cloud's metadata service where the firmware names a cloud (default: ask).",
    ),
)


def _login_options(command: _Command) -> _Command:
    for option in reversed(_LOGIN_OPTIONS):
        command = option(command)
    return command


def _say(message: str) -> None:
    click.echo(f"metahub: {printable(message)}", err=True)


def _end(message: str, code: int) -> NoReturn:
    _say(message)
    raise click.exceptions.Exit(code)


@click.command()
@_login_options
def login(
    registry: str,
    user: str | None,
    password_stdin: bool,
    password_file: Path | None,
    runtime: str,
    type_name: str | None,
    profile: Path | None,
    ca: Path | None,
    plain_http: bool,
    dry_run: bool,
    as_json: bool,
    metadata: bool,
) -> None:
    """Log docker or podman in at a hub, as the machine type that this host is.

    Asks the hub which machine types the account has, holds each against this host, and
    logs in as ACCOUNT-TYPE. Exit code 1: no type fits, or the login was refused.

    Example: metahub login --registry hub.example --user qnib
    """
    if not is_hub_name(registry):
        _end(f"--registry: {registry[:99]!r} is not HOST[:PORT]", 2)
    found_runtime = find_runtime("" if runtime == "auto" else runtime)
    if found_runtime is None and not dry_run:
        _end(
            "neither docker nor podman is here" if runtime == "auto" else f"no {runtime} is here", 2
        )
    hub = HubAddress(registry=registry, plain_http=plain_http, ca=ca)
    host = _host(profile, metadata)
    try:
        credentials = read_credentials(user, password_stdin, password_file)
    except NoPassword as error:
        _end(str(error), 2)
    found = _find(hub, credentials, host, type_name)
    command = found.command(found_runtime, registry, plain_http)
    if not as_json:
        Console(highlight=False).print(types_table(found))
    done = command is not None and not dry_run and _log_in(command, credentials)
    if as_json:
        click.echo(json.dumps(login_json(found, command, done), indent=2))
    if found.chosen is None:
        _end(f"{found.picked.reason}; --type NAME takes one all the same", 1)
    if not done and not dry_run:
        raise click.exceptions.Exit(1)
    if not as_json:
        _tell(found.chosen, found, command, done)


def _host(profile: Path | None, metadata: bool) -> MachineType:
    if profile is None:
        return detect(ThisHost(), metadata).machine
    try:
        return load_profile(profile, metadata)
    except InvalidProfile as error:
        _end(str(error), 2)


def _find(hub: HubAddress, credentials: Credentials, host: MachineType, name: str | None) -> Found:
    """Ask the hub, and pick the type that this host is, or take the one of a name."""
    try:
        types = parse_types(ask_types(hub, credentials))
        picked = pick(types.types, host)
        chosen = picked.chosen if name is None else named_type(types, name)
    except HubRefused as error:
        _end(str(error), 1)
    except InvalidTypes as error:
        _end(f"{hub.registry}: is no metahub hub: {error}", 2)
    except (HubError, UnknownType) as error:
        _end(str(error), 2)
    if chosen and not picked.fits(chosen):
        _say(f"warning: machine type {chosen.machine.name} does not fit this host")
    return Found(types=types, picked=picked, chosen=chosen)


def _log_in(command: LoginCommand, credentials: Credentials) -> bool:
    try:
        log_in(command, credentials)
    except RuntimeLoginError as error:
        _say(str(error))
        if "x509" in str(error):
            place = ca_place(command.runtime, command.registry)
            _say(f"put the hub's CA where {command.runtime} looks for it, {place}")
        return False
    return True


def _tell(chosen: HubType, found: Found, command: LoginCommand | None, done: bool) -> None:
    why = found.picked.reason if chosen is found.picked.chosen else "as you say"
    click.echo(printable(f"{chosen.machine.name}: {why}"))
    if done and command:
        text = f"{command.runtime} is logged in at {command.registry} as {chosen.login}"
    elif command:
        text = f"would run: {' '.join(command.words)}"
    else:
        text = f"log in as {chosen.login}"
    click.echo(printable(text))


@click.command()
@click.option(
    "--rounds",
    type=click.IntRange(MIN_ROUNDS, MAX_ROUNDS),
    default=12,
    show_default=True,
    help="bcrypt's cost: each more doubles the time of a check.",
)
def password(rounds: int) -> None:
    """Print the bcrypt hash of a password, for a hub's file.

    Asks for it twice, or reads it from standard input where that is no terminal.

    Example: metahub password
    """
    try:
        click.echo(hash_password(read_new_password(), rounds))
    except ValueError as error:  # NoPassword is one
        _end(str(error), 2)
