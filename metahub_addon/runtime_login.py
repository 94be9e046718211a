"""Log docker or podman in at a registry, by their own command."""

import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from metahub_addon.credentials import Credentials
from metahub_addon.printable import printable

_SECONDS = 60.0
_SHOWN = 500


class Runtime(StrEnum):
    """A container runtime that keeps logins."""

    DOCKER = "docker"
    PODMAN = "podman"


class RuntimeLoginError(Exception):
    """A runtime that did not log in; the message quotes what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginCommand:
    """How a runtime is logged in; the password comes by its standard input only."""

    runtime: Runtime
    registry: str
    user: str
    plain_http: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The command and its arguments."""
        own = ("--tls-verify=false",) if self.plain_http and self.runtime is Runtime.PODMAN else ()
        return (
            *(self.runtime.value, "login", f"--username={self.user}", "--password-stdin"),
            *own,
            self.registry,
        )


def ca_place(runtime: Runtime, registry: str, root: Path = Path("/")) -> Path:
    """Where a runtime looks for the CA of a registry (podman looks at docker's place, too)."""
    folder = "docker" if runtime is Runtime.DOCKER else "containers"
    return root / "etc" / folder / "certs.d" / registry / "ca.crt"


def find_runtime(wanted: str = "") -> Runtime | None:
    """The runtime of a name, else docker, else podman, if its command is there.

    podman reads docker's logins where it has none of its own, docker not podman's.
    """
    candidates = [Runtime(wanted)] if wanted else list(Runtime)
    return next((one for one in candidates if shutil.which(one.value)), None)


def log_in(command: LoginCommand, credentials: Credentials) -> str:
    """Run a login, a minute at most; what the runtime said. Raises RuntimeLoginError."""
    try:
        done = subprocess.run(  # noqa: S603 (a fixed command, without a shell)
            command.words,
            input=credentials.password,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeLoginError(f"{command.runtime}: no answer within {_SECONDS:g} s") from error
    except OSError as error:
        raise RuntimeLoginError(f"{command.runtime}: cannot be run: {error.strerror}") from error
    said = done.stdout.replace(credentials.password, "…") if credentials.password else done.stdout
    told = printable(" ".join(said.split()))[:_SHOWN]
    if done.returncode:
        raise RuntimeLoginError(f"{command.runtime} login ended with {done.returncode}: {told}")
    return told
