"""Root folders of several distributions, and commands that do to them what the real ones do."""

import hashlib
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from installer.node import Done, Node
from installer.trust_bundle import certificates, pem

OS_RELEASE = {
    "debian": 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n',
    "ubuntu": 'ID=ubuntu\nID_LIKE=debian\nPRETTY_NAME="Ubuntu 24.04"\n',
    "rocky": 'NAME="Rocky Linux"\nID="rocky"\nID_LIKE="rhel centos fedora"\n',
    "sles": 'ID="sles"\nID_LIKE="suse"\n',
}
# anchors, what the bundle is called, and its other form
LAYOUTS = {
    "debian": ("usr/local/share/ca-certificates", "etc/ssl/certs/ca-certificates.crt"),
    "rocky": (
        "etc/pki/ca-trust/source/anchors",
        "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ),
    "sles": ("etc/pki/trust/anchors", "var/lib/ca-certificates/ca-bundle.pem"),
}
LAYOUTS["ubuntu"] = LAYOUTS["debian"]
PROGRAMS = {"docker": "dockerd", "containerd": "containerd", "podman": "podman"}
PUBLIC_CA = pem(b"a public authority")
OWN_CA = pem(b"this node's own authority")


@dataclass
class FakeCommands:
    """Runs nothing; changes the root folder as the real programs would, and remembers."""

    root: Path
    distro: str
    ran: list[tuple[str, ...]] = field(default_factory=list)
    given: dict[str, tuple[str, str]] = field(default_factory=dict)
    active: set[str] = field(default_factory=set)
    broken: dict[str, Done] = field(default_factory=dict)
    superuser: bool = True
    containers: int = 0
    live_restore: bool = False
    requires: str = "docker.socket"
    exec_start: str = "/usr/sbin/dockerd -H fd://"
    containerd_version: str = "1.7.2"
    table: bool = False
    docker_pid: str = "0"

    def is_root(self) -> bool:
        return self.superuser

    def give(self, path: Path, user: str, group: str) -> None:
        self.given["/" + path.relative_to(self.root).as_posix()] = (user, group)

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> Done:
        self.ran.append(tuple(command))
        line = " ".join(command)
        for text, done in self.broken.items():
            if text in line:
                return done
        name = Path(command[0]).name
        answer = getattr(self, f"_{name.replace('-', '_')}", None)
        if answer is None:
            return Done(0, "")
        result = answer(*command) if name == "python" else answer(*command[1:])
        return result if isinstance(result, Done) else Done(0, str(result or ""))

    def did(self, *words: str) -> bool:
        """True if a command with these first words was run."""
        return any(ran[: len(words)] == words for ran in self.ran)

    def _systemctl(self, verb: str, *rest: str) -> Done:
        units = [word for word in rest if not word.startswith("-")]
        match verb:
            case "is-active":
                return Done(0 if set(units) <= self.active else 3, "")
            case "start" | "restart":
                self.active |= set(units)
            case "stop":
                self.active -= set(units)
            case "show":
                return Done(0, self._property(rest[1].partition("=")[2], units[0]))
        if verb != "is-active" and "metahub-firewall.service" in units:
            self.table = "metahub-firewall.service" in self.active
        return Done(0, "")

    def _property(self, name: str, unit: str) -> str:
        values = {
            "Requires": self.requires,
            "ExecStart": self.exec_start,
            "MainPID": self.docker_pid,
        }
        return values.get(name, "") if unit == "docker.service" else ""

    def _nft(self, *words: str) -> Done:
        if words[0] == "delete":
            self.table = False
        return Done(0 if words[0] == "--check" or self.table else 1, "")

    def _docker(self, *words: str) -> str:
        return f"{str(self.live_restore).lower()} {self.containers}" if "--format" in words else ""

    def _containerd(self, *words: str) -> str:
        return f"containerd github.com/containerd/containerd {self.containerd_version} abc"

    def _groupadd(self, *words: str) -> None:
        self._append("group", "metahub:x:990:")
        self._append("gshadow", "metahub:!::")

    def _useradd(self, *words: str) -> None:
        self._append("passwd", "metahub:x:990:990::/nonexistent:/usr/sbin/nologin")
        self._append("shadow", "metahub:!:20000::::::")

    def _userdel(self, *words: str) -> None:
        for database in ("passwd", "shadow", "group", "gshadow"):
            self._remove(database)

    def _groupdel(self, *words: str) -> None:
        for database in ("group", "gshadow"):
            self._remove(database)

    def _append(self, database: str, line: str) -> None:
        self._rewrite(database, lambda lines: [*lines, line])

    def _remove(self, database: str) -> None:
        self._rewrite(database, lambda all_: [o for o in all_ if not o.startswith("metahub:")])

    def _rewrite(self, database: str, change) -> None:  # type: ignore[no-untyped-def]
        """As shadow's tools do: a new file, the old one kept with a dash, a lock left."""
        path = self.root / "etc" / database
        old = path.read_text()
        (self.root / "etc/.pwd.lock").touch(0o600)
        path.with_name(database + "-").write_text(old)
        new = path.with_name(database + "+")
        new.write_text("".join(f"{line}\n" for line in change(old.splitlines())))
        new.chmod(stat.S_IMODE(path.stat().st_mode))
        new.replace(path)

    def _update_ca_certificates(self, *words: str) -> None:
        """The bundle of shipped and local certificates, and links to the local ones."""
        anchors, name = (self.root / place for place in LAYOUTS[self.distro])
        shipped = (self.root / "usr/share/ca-certificates/public.crt").read_text()
        local = sorted(path for path in anchors.iterdir() if path.suffix in (".crt", ".pem"))
        name.with_suffix(".new").write_text(shipped + "".join(p.read_text() for p in local))
        name.with_suffix(".new").replace(name)
        if self._link_local(name.parent, local):
            self._rehash(name.parent)

    def _link_local(self, folder: Path, local: Sequence[Path]) -> bool:
        """Debian's script makes what is missing; what leads nowhere goes only when it does."""
        is_new = False
        for path in local:
            link = folder / f"{path.stem}.pem"
            if not link.is_symlink():
                link.symlink_to("/" + path.relative_to(self.root).as_posix())
                is_new = True
        return is_new

    def _rehash(self, folder: Path) -> None:
        """What leads nowhere goes; each certificate has a link, and those that have it keep it."""
        bundle = self.root / LAYOUTS[self.distro][1]
        links = set()
        for path in sorted(folder.glob("*.pem")):
            target = self.root / os.readlink(path).lstrip("/") if path.is_symlink() else path
            if not target.exists():
                path.unlink()
            elif path != bundle and "BEGIN CERT" in target.read_text():
                digest = hashlib.sha256(target.read_bytes()).hexdigest()[:8]
                links.add(folder / f"{digest}.0")
                if not os.path.lexists(folder / f"{digest}.0"):
                    (folder / f"{digest}.0").symlink_to(path.name)
        for link in set(folder.glob("*.0")) - links:
            link.unlink()

    _update_ca_trust = _update_ca_certificates

    def _python3(self, *words: str) -> None:
        if words[:2] == ("-m", "venv"):
            folder = self.root / words[2].lstrip("/")
            (folder / "bin").mkdir(parents=True)
            (folder / "bin/python").symlink_to("/usr/bin/python3")

    def _python(self, program: str, *words: str) -> None:
        if words[:2] == ("-m", "pip"):
            folder = self.root / Path(program.lstrip("/")).parent.parent
            major, minor = sys.version_info[:2]
            package = folder / f"lib/python{major}.{minor}/site-packages/metahub_addon"
            package.mkdir(parents=True)
            (package / "addon.py").touch()
        elif words[0] == "-IBc":
            folder = self.root / words[2].lstrip("/")
            (folder / "mitmproxy-ca.pem").write_text("key\n" + OWN_CA)
            (folder / "mitmproxy-ca-cert.pem").write_text(OWN_CA)
            (folder / "mitmproxy-ca-cert.p12").write_text("for Windows")
            (folder / "mitmproxy-dhparam.pem").write_text("parameters")

    def _metahub(self, verb: str, *words: str) -> Done:
        if verb == "detect":
            (self.root / words[1].lstrip("/")).write_text("machine_type: detected\n")
            return Done(0, "")
        path = self.root / words[0].lstrip("/")
        if "broken" in path.read_text():
            return Done(2, "", f"metahub: {words[0]}: line 1: broken: unknown key\n")
        return Done(0, "")


@dataclass(frozen=True)
class FakeNode:
    """A node of a test."""

    node: Node
    commands: FakeCommands

    @property
    def root(self) -> Path:
        return self.node.root

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        """A file of the node, an hour old, so that a rewritten one shows."""
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        os.utime(file, (1_700_000_000, 1_700_000_000))
        return file

    def read(self, path: str) -> str:
        return (self.root / path.lstrip("/")).read_text()

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.root / path.lstrip("/"))

    def tree(self) -> dict[str, tuple[object, ...]]:
        """All there is, to the byte, with modes, and of files the time."""
        return {
            path.relative_to(self.root).as_posix(): _shown(path)
            for path in sorted(self.root.rglob("*"))
        }


def _shown(path: Path) -> tuple[object, ...]:
    status = path.lstat()
    if path.is_symlink():
        return ("link", os.readlink(path))
    mode = stat.S_IMODE(status.st_mode)
    if path.is_dir():
        return ("folder", mode)
    return ("file", mode, path.read_bytes(), status.st_mtime_ns)


def make_node(
    root: Path, distro: str = "debian", runtimes: Sequence[str] = ("docker", "containerd", "podman")
) -> FakeNode:
    """A node as its distribution makes it."""
    commands = FakeCommands(root, distro)
    fake = FakeNode(Node(root, commands), commands)
    fake.write("/etc/os-release", OS_RELEASE[distro])
    fake.write("/etc/hostname", "node7\n")
    fake.write("/proc/net/if_inet6", f"{1:032x} 01 80 10 80       lo\n")
    for database, mode in (("passwd", 0o644), ("group", 0o644), ("shadow", 0o640)):
        fake.write(f"/etc/{database}", "root:x:0:0\n", mode)
    fake.write("/etc/gshadow", "root:*::\n", 0o640)
    fake.write("/etc/passwd-", "older\n")
    programs = ["systemctl", "nft", "useradd", "groupadd", "userdel", "groupdel", "nologin"]
    programs += ["update-ca-certificates", "update-ca-trust"]
    for program in (*programs, *(PROGRAMS[runtime] for runtime in runtimes)):
        fake.write(f"/usr/sbin/{program}", "", 0o755)
    fake.write("/lib/systemd/system/nftables.service", "[Unit]\n")
    for folder in ("run/systemd/system", "etc/systemd/system/multi-user.target.wants", "opt"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    fake.write("/usr/share/ca-certificates/public.crt", PUBLIC_CA)
    anchors, bundle = LAYOUTS[distro]
    (root / anchors).mkdir(parents=True)
    fake.write(bundle, PUBLIC_CA)
    (root / "var/lib").mkdir(parents=True, exist_ok=True)
    return fake


def trusts(fake: FakeNode, authority: str) -> bool:
    """True if the system's store has a certificate."""
    bundle = fake.read(LAYOUTS[fake.commands.distro][1])
    return set(certificates(authority)) <= set(certificates(bundle))
