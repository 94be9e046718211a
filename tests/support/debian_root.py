"""This Debian once more, with a systemd of its own, in namespaces that end with it.

The root is an overlay over `/`, so it has what is installed here, and its upper folder is
the list of all that changed in it. It is on a tmpfs, sees no network but one of its own
(`near`, a wire to the namespace `far`), and its cgroups are below one of ours. It may be
booted several times, as a machine is; each time systemd runs one script, and the machine
is off when that ends. `support.boot` is what runs inside.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from support.cgroups import Hierarchy, mounted, own_cgroups
from support.missing import missing_part

BOOT = Path(__file__).with_name("boot.py")
# In the root: the test's folder, the overlay's list of changes, and this system below it.
SHARED, UPPER, LOWER = Path("/run/shared"), Path("/run/upper"), Path("/run/lower")
NAMESPACES = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
COMMANDS = ("unshare", "setpriv", "chroot", "mount", "ip", "tc", "nft", "systemctl", "journalctl")
PROBE = """set -e
mount -t tmpfs tmpfs /mnt
mkdir /mnt/u /mnt/w /mnt/m
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/u,workdir=/mnt/w /mnt/m
ip link add near type veth peer name wire
tc qdisc add dev wire root tbf rate 1mbit burst 10k latency 10ms
nft -f - <<'END'
table inet probe {
    set seen { type ipv4_addr; flags dynamic,timeout; }
    chain output {
        type nat hook output priority -105;
        meta skgid 0 tcp dport 9 ip daddr != @seen redirect to :9
    }
}
END
"""


@dataclass(frozen=True)
class Spec:
    """What a root needs to be booted."""

    script: str
    python: str
    folder: str
    hosts: Mapping[str, Sequence[str]]
    environment: Mapping[str, str]
    visible: Sequence[str]
    boots: int
    seconds: int
    hierarchies: Sequence[Hierarchy]

    @classmethod
    def from_json(cls, text: str) -> "Spec":
        """What `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "hierarchies": [Hierarchy(**h) for h in fields["hierarchies"]]})

    def to_json(self) -> str:
        """For the command line of what runs inside."""
        return json.dumps(asdict(self))


def missing() -> str:
    """What this machine lacks for such a root; empty if nothing."""
    if not any(kind == "cgroup2" for _, _, kind, _ in mounted()):
        return "a cgroup2 mount"
    probes = {"overlay, veth, tbf or nft in namespaces": ["sh", "-c", PROBE]}
    return missing_part(COMMANDS, ["/lib/systemd/systemd"], probes)


def play(
    script: Path,
    folder: Path,
    hosts: Mapping[str, Sequence[str]],
    environment: Mapping[str, str],
    *,
    visible: Sequence[Path] = (),
    boots: int = 1,
    seconds: int = 300,
) -> None:
    """Boot a root so many times; each time it runs `python SCRIPT SHARED BOOT`.

    What the script leaves in SHARED is in the folder afterwards, its output in
    `output-BOOT`. `hosts`: addresses and their names; `visible`: files and folders that
    the script needs, wherever they are mounted. Raises RuntimeError with the output if a
    script fails or the time is up.
    """
    python = sys.executable
    needed = [Path(sys.prefix), script, Path(python).resolve(), BOOT, *visible]
    with own_cgroups("metahub-root") as hierarchies:
        spec = Spec(
            script=str(script),
            python=python,
            folder=str(folder),
            hosts=hosts,
            environment=environment,
            visible=[str(path) for path in needed],
            boots=boots,
            seconds=seconds,
            hierarchies=hierarchies,
        )
        command = ["setpriv", "--pdeathsig", "KILL", *NAMESPACES, "--ipc", "--uts"]
        done = subprocess.run(
            [*command, python, str(BOOT), spec.to_json()],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            check=False,
        )
    if done.returncode:
        outputs = [file.read_text(errors="replace") for file in sorted(folder.glob("output-*"))]
        raise RuntimeError("\n".join([*outputs, done.stdout, done.stderr])[-20000:])
