"""The `metahub` command. Exit codes: 0 fine, 1 the answer is no, 2 wrong use or input."""

import asyncio
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from metahub_addon import __version__
from metahub_addon.cli_hub import login, password
from metahub_addon.compatibility import Compatibility
from metahub_addon.detect import detect
from metahub_addon.index import MAX_MANIFEST_BYTES, Child, Index, InvalidIndex, parse_index
from metahub_addon.machine import MachineType
from metahub_addon.media_types import INDEXES, OCI_INDEX
from metahub_addon.nesting import open_nested
from metahub_addon.node_features import find_node_features
from metahub_addon.printable import printable
from metahub_addon.profile_file import load_profile, read_profile
from metahub_addon.profile_parser import InvalidProfile
from metahub_addon.profile_writer import profile_text, write_whole
from metahub_addon.remote import InvalidReference, RemoteError, RemoteRegistry, parse_reference
from metahub_addon.report import (
    decision_json,
    decision_table,
    detection_json,
    machine_json,
    matrix_table,
)
from metahub_addon.selection import Decision, choose
from metahub_addon.this_host import ThisHost
from metahub_addon.upstream import FetchError

_METADATA = click.option(
    "--metadata/--no-metadata",
    default=True,
    help="Ask the cloud's metadata service where the firmware names a cloud (default: ask).",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")


def _fail(message: str) -> None:
    # What a registry said may be quoted: let nothing in it steer the terminal.
    click.echo(f"metahub: {printable(message)}", err=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="metahub")
def main() -> None:
    """The same image name gives every machine the image built for its hardware.

    Example: metahub explain index.json --profile profiles/type4.yaml
    """
    # A terminal or pipe without UTF-8 must not turn an answer into a traceback.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


main.add_command(login)
main.add_command(password)


@main.command()
def addon() -> None:
    """Print the path of the addon for mitmdump.

    Example: mitmdump -s "$(metahub addon)"
    """
    click.echo(Path(__file__).resolve().parent / "addon.py")


@main.command("detect")
@click.option(
    *("-o", "--output"),
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the profile to a file, as a whole or not at all.",
)
@_METADATA
@_JSON
@click.pass_context
def detect_command(
    context: click.Context, output: Path | None, metadata: bool, as_json: bool
) -> None:
    """Print this host's machine type as a profile; every fact says where it came from.

    What is missing or broken is a warning, never a failure.

    Example: metahub detect -o /etc/metahub/profile.yaml
    """
    found = detect(ThisHost(), metadata)
    for warning in found.warnings:
        _fail(f"warning: {warning}")
    text = json.dumps(detection_json(found), indent=2) + "\n" if as_json else profile_text(found)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_whole(output, text)
    except OSError as error:
        _fail(f"{output}: cannot be written: {error.strerror}")
        context.exit(2)


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@_JSON
@click.pass_context
def check(context: click.Context, files: Sequence[Path], as_json: bool) -> None:
    """Check profiles; the first error of each names file, line and key.

    Commands in `detect` are not run.

    Example: metahub check profiles/*.yaml
    """
    machines: list[MachineType] = []
    for file in files:
        try:
            machines.append(read_profile(file, ThisHost()).machine)
        except InvalidProfile as error:
            _fail(str(error))
        else:
            if not as_json:
                machine = machines[-1]
                features = ", ".join(map(str, machine.features)) or "no features"
                click.echo(f"{file}: {machine.name}, {machine.platform}, {features}")
    if as_json:
        click.echo(json.dumps([machine_json(machine) for machine in machines], indent=2))
    if len(machines) < len(files):
        context.exit(2)


@main.command()
@click.argument("image", metavar="REFERENCE|FILE|-")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    type=click.Path(path_type=Path),
    help="A profile; several give a matrix. Default: this host, detected.",
)
@_JSON
@click.option("--plain-http", is_flag=True, help="Ask the registry without TLS.")
@click.option("--ca", type=click.Path(), help="A file of certificates to trust, too.")
@click.option("--nfd", is_flag=True, help="Ask for NFD's compatibility artifacts, of this host.")
@_METADATA
@click.pass_context
def explain(
    context: click.Context,
    image: str,
    profiles: Sequence[Path],
    as_json: bool,
    plain_http: bool,
    ca: str | None,
    nfd: bool,
    metadata: bool,
) -> None:
    """Say which child of an index a machine gets, and why the others are not it.

    Reads an index from a registry, a file or standard input (-). Exit code 1: nothing
    fits one of the machine types.

    Example: metahub explain index.json --profile profiles/type1.yaml
    """
    try:
        machines = [load_profile(file, metadata) for file in profiles]
        machines = machines or [detect(ThisHost(), metadata).machine]
        indexes, decisions = _decide(image, machines, plain_http, ca, nfd)
    except (InvalidProfile, InvalidReference, RemoteError, OSError) as error:
        _fail(str(error))
        context.exit(2)
    except (InvalidIndex, FetchError) as error:
        _fail(f"{image}: {error}")
        context.exit(2)
    if as_json:
        found = [decision_json(decision) for decision in decisions]
        click.echo(json.dumps(found if len(found) > 1 else found[0], indent=2))
    else:
        _print(decisions, indexes)
    context.exit(0 if all(decision.chosen for decision in decisions) else 1)


def _print(decisions: Sequence[Decision], indexes: Sequence[Index]) -> None:
    console = Console(soft_wrap=False, highlight=False)
    alike = all(index == indexes[0] for index in indexes)
    if len(decisions) > 1 and alike:
        # A column of a few letters cannot be read: rather several tables.
        at_once = max(1, (console.width - 50) // 10)
        for at in range(0, len(decisions), at_once):
            console.print(matrix_table(decisions[at : at + at_once]))
    else:
        for decision in decisions:
            console.print(decision_table(decision))
    for decision in decisions:
        console.print(Text(f"{decision.machine.name}: {decision.reason}"))


def _decide(
    image: str, machines: Sequence[MachineType], plain_http: bool, ca: str | None, nfd: bool
) -> tuple[list[Index], list[Decision]]:
    """For each machine the index as it sees it (foreign nested ones unopened) and the choice."""
    if image == "-" or Path(image).exists() or image.endswith(".json"):
        if nfd:
            raise InvalidReference(f"{image}: --nfd needs an image in a registry")
        index = _parse(_bytes(image))
        return [index] * len(machines), [choose(index, machine) for machine in machines]
    reference = parse_reference(image)
    with RemoteRegistry(reference, plain_http, ca) as registry:
        found = registry.get(reference.reference)
        if found.media_type not in INDEXES:
            raise InvalidIndex(f"is a {found.media_type or 'body of no type'}, not an index")
        index = parse_index(found.body, found.media_type)

        async def open_child(child: Child) -> Index:
            inner = registry.get(child.digest)
            return parse_index(inner.body, inner.media_type)

        indexes = [asyncio.run(open_nested(index, m.platform, open_child)) for m in machines]
        pairs = list(zip(indexes, machines, strict=True))
        if not nfd:
            return indexes, [choose(index, machine) for index, machine in pairs]
        asked = Compatibility(registry, find_node_features(ThisHost()))
        repository = registry.repository
        return indexes, [asyncio.run(asked.choose(*pair, repository)) for pair in pairs]


def _bytes(image: str) -> bytes:
    if image == "-":
        return sys.stdin.buffer.read(MAX_MANIFEST_BYTES + 1)
    with Path(image).open("rb") as file:
        return file.read(MAX_MANIFEST_BYTES + 1)


def _parse(body: bytes) -> Index:
    """An index without a Content-Type: by its own mediaType, which OCI lets it leave out."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidIndex(f"is not JSON ({type(error).__name__})") from error
    declared = document.get("mediaType", OCI_INDEX) if isinstance(document, dict) else OCI_INDEX
    if not isinstance(declared, str) or declared not in INDEXES:
        raise InvalidIndex(f"mediaType: is {str(declared)[:99]!r}, not an index's")
    return parse_index(body, declared)
