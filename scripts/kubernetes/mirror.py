"""What metahub has on a Kubernetes node: a CA of the node's own, and containerd's mirror.

On the standard library alone but for making the CA: the probes must be quick.
"""

import os
import shutil
import socket
import ssl
import time
from pathlib import Path

PORT = 20443
STORE = "etc/metahub"
MIRROR = "etc/containerd/certs.d/_default"
# mitmproxy finds its CA by these names.
CA_KEY, CA_CERTIFICATE = "mitmproxy-ca.pem", "mitmproxy-ca-cert.pem"
CA_FILES = (CA_CERTIFICATE, "mitmproxy-dhparam.pem", CA_KEY)
_MARK = "# Written by metahub's DaemonSet."
# Without a `server` the registry itself comes behind the mirror. The CA lies beside it:
# containerd fails every pull if it is told of a CA that is not there.
MIRROR_CA = "metahub-ca.pem"
HOSTS = f"""{_MARK}
[host."https://127.0.0.1:{PORT}"]
  capabilities = ["pull", "resolve"]
  ca = "{MIRROR_CA}"
"""
_UP_SECONDS = 60.0
PROBE_SECONDS = 4.0
DRAIN_SECONDS = 6.0  # longer than a choice may take (metahub_timeout)


class Problem(Exception):
    """Why it cannot be done; the message is for the operator."""


def prepare(root: Path, user: int) -> None:
    """Make the folders and the CA, unless they are there."""
    store, mirror = root / STORE, root / MIRROR
    if (store / "config.yaml").exists():
        raise Problem(f"{store}: metahub is installed on the node itself (scripts/install)")
    _refuse_others(mirror)
    for folder in (store, mirror):
        folder.mkdir(parents=True, exist_ok=True)
    if not all((store / name).exists() for name in CA_FILES):
        _make_authority(store, user)
    # The pod comes and goes without root: it owns the folder of its one file.
    os.chown(mirror, user, user)


def _refuse_others(mirror: Path) -> None:
    hosts = mirror / "hosts.toml"
    if hosts.exists() and not hosts.read_text(errors="replace").startswith(_MARK):
        raise Problem(f"{hosts}: is not metahub's: add the mirror to it yourself, or remove it")


def _make_authority(store: Path, user: int) -> None:
    """A CA whose key only the pod's user can read."""
    from mitmproxy.certs import CertStore  # noqa: PLC0415 (the probes need not wait for it)

    made = store / "new"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(mode=0o700)
    name = f"metahub on {os.environ.get('NODE_NAME') or socket.gethostname()}"[:64]
    CertStore.create_store(made, "mitmproxy", 2048, name, name)
    for file in CA_FILES:
        if file == CA_KEY:
            (made / file).chmod(0o600)
            os.chown(made / file, user, user)
        else:
            (made / file).chmod(0o644)
        (made / file).replace(store / file)
    shutil.rmtree(made)


def announce(root: Path) -> None:
    """Tell containerd, which reads the file at each pull, of a mirror that answers."""
    mirror = root / MIRROR
    end = time.monotonic() + _UP_SECONDS
    while not answers(root):
        if time.monotonic() > end:
            raise Problem(f"mitmdump does not answer on port {PORT}: see its log")
        time.sleep(0.2)
    _refuse_others(mirror)
    _write(mirror / MIRROR_CA, (root / STORE / CA_CERTIFICATE).read_text())
    _write(mirror / "hosts.toml", HOSTS)


def _write(path: Path, text: str) -> None:
    """Write a file as a whole: containerd may read it at any time."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(text)
    new.chmod(0o644)
    new.replace(path)


def answers(root: Path) -> bool:
    """True if mitmdump, not just the kernel, completes a handshake that containerd would."""
    try:
        context = ssl.create_default_context(cafile=root / STORE / CA_CERTIFICATE)
        with (
            socket.create_connection(("127.0.0.1", PORT), PROBE_SECONDS) as line,
            context.wrap_socket(line, server_hostname="127.0.0.1"),
        ):
            return True
    except OSError:
        return False


def withdraw(root: Path) -> None:
    """No new pull comes here; those that are here have some time."""
    mirror = root / MIRROR
    _refuse_others(mirror)
    (mirror / "hosts.toml").unlink(missing_ok=True)
    end = time.monotonic() + DRAIN_SECONDS
    while _is_connected() and time.monotonic() < end:
        time.sleep(0.2)


def _is_connected() -> bool:
    """True while a client of this node has a connection to the mirror (established: 01)."""
    rows = [line.split()[:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1].endswith(f":{PORT:04X}") and row[3] == "01" for row in rows)


def remove(root: Path) -> None:
    """Leave no trace, and what is not ours. The mirror goes first, its CA after it."""
    store, mirror = root / STORE, root / MIRROR
    if (store / "config.yaml").exists():
        raise Problem(f"{store}: metahub is installed on the node itself (scripts/uninstall)")
    hosts = mirror / "hosts.toml"
    if hosts.exists() and hosts.read_text(errors="replace").startswith(_MARK):
        hosts.unlink()
    shutil.rmtree(store / "new", ignore_errors=True)
    ours = (mirror / MIRROR_CA, *mirror.glob(".*.new"), *(store / name for name in CA_FILES))
    for path in ours:
        path.unlink(missing_ok=True)
    for folder in (mirror, mirror.parent, store):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
