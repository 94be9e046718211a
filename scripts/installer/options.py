"""The command lines."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from installer.problem import Problem
from installer.wanted import MODES, RUNTIMES, Wanted, registry_name

_INSTALL_EXAMPLE = """
example:
  sudo scripts/install --registry registry.example:5000 --profile type4.yaml

modes:
  transparent  the node's firewall sends pulls to the proxy for as long as it is well; when it
               is not, they go on unoptimised. Needs nftables.
  proxy        HTTPS_PROXY for the runtimes. A stopped proxy means failed pulls.
  mirror       mirrors for containerd, podman and (Docker Hub alone) docker. When the proxy is
               stopped, pulls go on unoptimised.

pip is run with your PIP_* variables, which sudo drops unless told (sudo -E, or
`sudo PIP_INDEX_URL=… scripts/install`).

exit codes: 0 fine, 2 wrong use or input, or a failure: then nothing has changed.
"""


_UNINSTALL_EXAMPLE = """
example:
  sudo scripts/uninstall

exit codes: 0 fine, 1 nothing is installed, 2 wrong use, or a failure: then run it again.
"""


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong."""

    def error(self, message: str) -> NoReturn:
        """Raises Problem."""
        raise Problem(message)


def make_parser(command: str) -> _Parser:
    """The parser of install or uninstall; it raises Problem."""
    is_install = command == "install"
    parser = _Parser(
        prog=f"scripts/{command}",
        description="Optimise every pull of this node."
        if is_install
        else "Take metahub off this node, and put everything back as it was.",
        epilog=_INSTALL_EXAMPLE if is_install else _UNINSTALL_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would change, and stop")
    if is_install:
        _add_choices(parser)
    return parser


def _add_choices(parser: _Parser) -> None:
    parser.add_argument(
        *("--runtime", "-r"),
        default="auto",
        choices=(*RUNTIMES, "auto"),
        help="the runtime to set up (default: auto, all that are installed)",
    )
    parser.add_argument(
        *("--mode", "-m"),
        default="transparent",
        choices=MODES,
        help="how pulls reach the proxy (default: transparent)",
    )
    parser.add_argument("--profile", metavar="FILE", help="this node's profile (default: detect)")
    parser.add_argument(
        "--registry",
        action="append",
        default=[],
        metavar="HOST[:PORT]",
        help="a registry, beside the public ones and those in the node's configuration; "
        "shell wildcards in the host; may be repeated",
    )


def read_wanted(options: argparse.Namespace) -> Wanted:
    """What the options ask for, files read. Raises Problem."""
    registries = tuple(registry_name(text) for text in options.registry)
    wanted = Wanted(options.runtime, options.mode, registries=registries)
    if options.profile is None:
        return wanted
    try:
        content = Path(options.profile).read_bytes()
        content.decode()
    except OSError as error:
        raise Problem(f"--profile {options.profile}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Problem(f"--profile {options.profile}: is not UTF-8: {error.reason}") from error
    return replace(wanted, profile=content, profile_name=options.profile)
