"""The one machine of the tests: its addresses and names, its CA, and what runs there."""

import os
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from node.far import wait_for
from support.certificates import make_authority

# None is in 127/8: docker would skip TLS there.
ADDRESSES: Mapping[str, str] = {
    "reg.test": "192.0.2.2",
    "other.test": "192.0.2.3",
    "locked.test": "192.0.2.4",
    "auth.test": "192.0.2.5",
    "hub.test": "192.0.2.10",
    "meta.test": "192.0.2.11",
    "guarded.test": "192.0.2.12",
    "fleet.test": "192.0.2.13",
    "one.test": "192.0.2.14",
    "two.test": "192.0.2.15",
}


@dataclass(frozen=True)
class Daemon:
    """Something that was started, and where it logs."""

    process: "subprocess.Popen[bytes]"
    log_file: Path

    @property
    def log(self) -> str:
        """What it has logged so far."""
        return self.log_file.read_text(errors="replace")

    def kill(self) -> None:
        """End it at once, as a machine that fails does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)


class Place:
    """A folder, a CA with one certificate for all names, and daemons."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, certificate, key = make_authority(folder, "192.0.2.10", *ADDRESSES)
        self.certificate, self.key = certificate, key
        self.pem = folder / "both.pem"
        self.pem.write_bytes(certificate.read_bytes() + key.read_bytes())
        self.daemons: dict[str, Daemon] = {}

    def start(self, name: str, *command: str, **environment: str) -> Daemon:
        """Start a daemon, with these variables, too. It logs to FOLDER/NAME.log."""
        file = self.folder / f"{name}.log"
        with file.open("w") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
            )
        self.daemons[name] = Daemon(process, file)
        return self.daemons[name]

    def stop(self) -> None:
        """End what still runs."""
        for daemon in self.daemons.values():
            daemon.process.terminate()


def prepare_network(folder: Path) -> None:
    """Loopback with all addresses, the names in the hosts file, an /etc and a /run of our own."""
    for name in ("etc", "etc-work"):
        (folder / name).mkdir()
    layers = f"lowerdir=/etc,upperdir={folder}/etc,workdir={folder}/etc-work"
    commands = [
        ["mount", "-t", "overlay", "overlay", "-o", layers, "/etc"],
        ["mount", "-t", "tmpfs", "tmpfs", "/run"],
        ["ip", "link", "set", "lo", "up"],
    ]
    commands += [["ip", "address", "add", f"{a}/32", "dev", "lo"] for a in ADDRESSES.values()]
    for command in commands:
        subprocess.run(command, check=True)
    hosts = folder / "hosts"
    lines = [f"{address} {name}" for name, address in ADDRESSES.items()]
    hosts.write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    # A container runtime may have bound the machine's own over it.
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


def prepare_clients(folder: Path, ca: Path) -> None:
    """Let all clients trust our CA and nothing else, and keep what they keep in the folder."""
    storage = folder / "storage.conf"
    graph = folder / "podman"
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{graph}"\nrunroot = "/run/podman"\n'
    )
    policy = Path("/etc/containers/policy.json")
    policy.parent.mkdir(exist_ok=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    os.environ |= {
        "SSL_CERT_FILE": str(ca),
        "SSL_CERT_DIR": "/nonexistent",
        "CONTAINERS_STORAGE_CONF": str(storage),
        "DOCKER_CONFIG": str(folder / "docker-config"),
    }


def listens(listener: str) -> bool:
    """True if something accepts connections at `host:port`."""
    address, port = listener.split(":")
    try:
        socket.create_connection((address, int(port)), 1).close()
    except OSError:
        return False
    return True


def _is_decided(process: "subprocess.Popen[bytes]", listener: str) -> bool:
    return process.poll() is not None or listens(listener)


def wait_until_up(place: Place, listeners: Mapping[str, str]) -> None:
    """Return when all daemons accept connections: their names, and `host:port`.

    Raises RuntimeError with its log if one does not.
    """
    for name, listener in listeners.items():
        process = place.daemons[name].process
        try:
            wait_for(name, partial(_is_decided, process, listener))
            if process.poll() is not None:
                raise RuntimeError(f"{name}: has ended")
        except RuntimeError as error:
            raise RuntimeError(f"{error}\n{place.daemons[name].log[-4000:]}") from error


def tail(place: Place, names: Sequence[str], count: int = 3000) -> str:
    """The ends of some daemons' logs."""
    known = [name for name in names if name in place.daemons]
    return "\n".join(f"--- {name}\n{place.daemons[name].log[-count:]}" for name in known)
