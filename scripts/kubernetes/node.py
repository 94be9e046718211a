"""One node's part in Kubernetes: the node's own CA, containerd's mirror, and mitmdump between.

The DaemonSet's containers, hooks and probes call it:

  prepare   as root, before the rest: the folders on the node, and its CA
  run       mitmdump, as the pod's user; further arguments go to it
  announce  once it answers: tell containerd of it (postStart)
  probe     is it there, with a certificate that containerd accepts?
  withdraw  have containerd forget it, then wait for who still asks (preStop)
  remove    as root, when all is over: take away what `prepare` and `announce` have made

Exit codes: 0 fine, 1 it does not answer, 2 it cannot be done.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mirror import PORT, STORE, Problem, announce, answers, prepare, remove, withdraw


def run(root: Path, profile: Path, trust: Path, arguments: Sequence[str]) -> None:
    """Become mitmdump. `profile` and `trust`, a folder of CAs, may be missing."""
    import metahub_addon  # noqa: PLC0415

    options = [f"confdir={root / STORE}", "flow_detail=0", "block_global=false"]
    if profile.exists():
        options.append(f"metahub_profile={profile}")
    if authorities := sorted(trust.glob("*.pem")):
        options.append(f"ssl_verify_upstream_trusted_ca={_bundle(authorities)}")
    # containerd says in `?ns=` which registry it means; without one it is Docker Hub.
    mode = f"reverse:https://registry-1.docker.io:443@127.0.0.1:{PORT}"
    addon = Path(metahub_addon.__file__).with_name("addon.py")
    mitmdump = Path(sys.executable).with_name("mitmdump")
    command = [str(mitmdump), "-s", str(addon), "--mode", mode]
    for option in options:
        command += ["--set", option]
    try:
        os.execv(mitmdump, [*command, *arguments])
    except OSError as error:
        raise Problem(f"{mitmdump}: {error.strerror}") from error


def _bundle(authorities: Sequence[Path]) -> Path:
    """A file with CAs beside those that mitmproxy trusts anyway."""
    import certifi  # noqa: PLC0415

    bundle = Path(tempfile.gettempdir()) / "trust.pem"
    files = (Path(certifi.where()), *authorities)
    bundle.write_text("\n".join(file.read_text() for file in files))
    return bundle


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = ("prepare", "run", "announce", "probe", "withdraw", "remove")
    parser.add_argument("command", choices=commands, metavar="COMMAND", help=", ".join(commands))
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="FOLDER", help="where the node's /etc is"
    )
    parser.add_argument(
        "--user", type=int, default=os.getuid(), metavar="UID", help="the pod's user, for prepare"
    )
    parser.add_argument(
        "--profile",
        type=Path,
        default=Path("/etc/metahub-profile/profile.yaml"),
        metavar="FILE",
        help="the node's profile, for run; if there is none, the node is detected",
    )
    parser.add_argument(
        "--trust",
        type=Path,
        default=Path("/etc/metahub-trust"),
        metavar="FOLDER",
        help="further CAs of registries, *.pem, for run",
    )
    return parser


def main() -> int:
    """Carry out one command; the exit code."""
    options, arguments = _parser().parse_known_args()
    root: Path = options.root
    os.umask(0o022)
    try:
        match options.command:
            case "prepare":
                prepare(root, options.user)
            case "run":
                run(root, options.profile, options.trust, arguments)
            case "announce":
                announce(root)
            case "probe":
                return 0 if answers(root) else 1
            case "withdraw":
                withdraw(root)
            case "remove":
                remove(root)
    except Problem as problem:
        sys.stderr.write(f"metahub: {problem}\n")
    except OSError as error:
        sys.stderr.write(f"metahub: {error.filename}: {error.strerror}\n")
    else:
        return 0
    return 2


if __name__ == "__main__":
    sys.exit(main())
