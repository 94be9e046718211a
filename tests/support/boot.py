"""Inside the namespaces of a Debian root: first its disk, then each boot with its systemd.

`boot.py SPEC` makes the disk and runs `boot.py SPEC BOOT` for each boot, which prepares
what a kernel and a container manager would, and becomes systemd.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.cgroups import MOUNTS, Hierarchy, join
from support.debian_root import LOWER, NAMESPACES, SHARED, UPPER, Spec

WORK = Path("/mnt")
ROOT = WORK / "root"
CLONE_NEWCGROUP = 0x02000000
# Runtimes need no overlay below theirs; what they hold is no trace of an install.
DATA = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/containers", "/var/lib/cni")
DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "fuse")
# What would change this machine (sysctl, modules, clock, devices) or has no use here.
MASKED = (
    *("systemd-sysctl.service", "systemd-modules-load.service", "systemd-binfmt.service"),
    *("systemd-random-seed.service", "systemd-udevd.service", "systemd-udev-trigger.service"),
    *("systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-timesyncd.service"),
    *("systemd-update-utmp.service", "systemd-hwdb-update.service", "kmod-static-nodes.service"),
    *("systemd-tmpfiles-setup-dev.service", "systemd-remount-fs.service", "tmp.mount"),
    *("systemd-journal-flush.service", "systemd-machine-id-commit.service", "getty.target"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-config.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount"),
    *("proc-sys-fs-binfmt_misc.automount", "timers.target", "systemd-resolved.service"),
    *("modprobe@.service", "systemd-logind.service", "systemd-pstore.service"),
)
EMPTY = ("/tmp/", "/run/")
TARGET = """[Unit]
Requires=test.service
Wants=multi-user.target
AllowIsolate=yes
"""
SERVICE = """[Unit]
SuccessAction=exit-force
FailureAction=exit-force
FailureActionExitStatus=1
[Service]
Type=oneshot
ExecStart={spec.python} {spec.script} {shared} {boot}
StandardOutput=file:{shared}/output-{boot}
StandardError=inherit
"""


def mount(kind: str, target: Path, options: str = "") -> None:
    subprocess.run(["mount", "-t", kind, *_o(options), kind, str(target)], check=True)


def bind(source: str, target: Path, options: str = "rw") -> None:
    subprocess.run(["mount", "--bind", *_o(options), source, str(target)], check=True)


def _o(options: str) -> list[str]:
    return ["-o", options] if options else []


def make_disk(spec: Spec) -> None:
    mount("tmpfs", WORK, "mode=755")
    for name in ("upper", "work", "root"):
        (WORK / name).mkdir()
    mount("overlay", ROOT, f"lowerdir=/,upperdir={WORK}/upper,workdir={WORK}/work")
    for point in other_mounts(spec.visible):
        bind(point, Path(f"{ROOT}{point}"))
    for data in DATA:
        Path(f"{ROOT}{data}").mkdir(parents=True, exist_ok=True)
        mount("tmpfs", Path(f"{ROOT}{data}"))


def other_mounts(paths: Sequence[str]) -> set[str]:
    """The mount points that hold paths and are not `/`: an overlay does not show them."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]

    def holds(point: str, path: str) -> bool:
        return f"{path}/".startswith(f"{point.rstrip('/')}/")

    return {max((p for p in points if holds(p, path)), key=len) for path in paths} - {"/"}


def run_boots(spec: Spec) -> int:
    """Boot so many times; the exit code of the last."""
    # As the first process of a pid namespace it ends all others with itself.
    signal.signal(signal.SIGALRM, lambda *_: os._exit(3))
    signal.alarm(spec.seconds)
    make_disk(spec)
    code = 0
    for boot in range(1, spec.boots + 1):
        command = [*NAMESPACES, "--net", "--ipc", "--uts", sys.executable, __file__]
        code = subprocess.run([*command, spec.to_json(), str(boot)], check=False).returncode
        if code:
            break
    return code


def become_systemd(spec: Spec, boot: int) -> None:
    """Prepare a boot, then be its first process."""
    join(spec.hierarchies)
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWCGROUP):
        raise OSError(ctypes.get_errno(), "unshare of the cgroup namespace")
    mount_kernel()
    show_again(spec.visible)
    mount_devices()
    mount_cgroups(spec.hierarchies)
    shown = ((spec.folder, SHARED, "rw"), (f"{WORK}/upper", UPPER, "ro"), ("/", LOWER, "ro"))
    for source, place, options in shown:
        target = Path(f"{ROOT}{place}")
        target.mkdir()
        bind(source, target, options)
    configure(spec, boot)
    for command in network():
        subprocess.run(["chroot", str(ROOT), *command], check=True)
    environment = {"PATH": os.environ["PATH"], "container": "test"}
    systemd = ["/lib/systemd/systemd", "--log-target=journal", "--unit=test.target"]
    os.execvpe("chroot", ["chroot", str(ROOT), *systemd], environment)


def mount_kernel() -> None:
    """proc and sys as in a container: what is not of these namespaces can't be set."""
    mount("proc", ROOT / "proc")
    for name in ("proc/sys", "proc/sys/net"):
        bind(f"{ROOT}/{name}", ROOT / name)
    options = ["-o", "remount,bind,ro", f"{ROOT}/proc/sys"]
    subprocess.run(["mount", *options], check=True)
    mount("sysfs", ROOT / "sys", "ro")
    mount("tmpfs", ROOT / "run", "mode=755")
    mount("tmpfs", ROOT / "tmp", "mode=1777")


def show_again(paths: Sequence[str]) -> None:
    """What lies below a folder that is empty in the root: a clone in /tmp, say."""
    for path in sorted(paths):
        target = Path(f"{ROOT}{path}")
        if not path.startswith(EMPTY) or target.exists():
            continue
        if Path(path).is_dir():
            target.mkdir(parents=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        bind(path, target)


def mount_devices() -> None:
    dev = ROOT / "dev"
    mount("tmpfs", dev, "mode=755")
    for name in DEVICES:
        if Path("/dev", name).exists():
            (dev / name).touch()
            bind(f"/dev/{name}", dev / name)
    (dev / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")
    kinds = {"pts": "devpts", "shm": "tmpfs", "mqueue": "mqueue"}
    for name, kind in kinds.items():
        (dev / name).mkdir()
        mount(kind, dev / name, "newinstance,ptmxmode=0666,mode=620" if name == "pts" else "")
    (dev / "ptmx").symlink_to("pts/ptmx")


def mount_cgroups(hierarchies: Sequence[Hierarchy]) -> None:
    """The same layout as this machine's, from our cgroups on."""
    if all(hierarchy.mount != MOUNTS for hierarchy in hierarchies):
        mount("tmpfs", Path(f"{ROOT}{MOUNTS}"))
    for hierarchy in hierarchies:
        target = Path(f"{ROOT}{hierarchy.mount}")
        target.mkdir(exist_ok=True)
        mount(hierarchy.kind, target, hierarchy.options)


def configure(spec: Spec, boot: int) -> None:
    """The test's units in /run; from the first boot on nothing of what is enabled here."""
    units = ROOT / "run/systemd/system"
    units.mkdir(parents=True)
    for unit in MASKED:
        (units / unit).symlink_to("/dev/null")
    (units / "test.target").write_text(TARGET)
    environment = "".join(f'Environment="{k}={v}"\n' for k, v in spec.environment.items())
    service = SERVICE.format(spec=spec, shared=SHARED, boot=boot)
    (units / "test.service").write_text(service + environment)
    journal = ROOT / "run/systemd/journald.conf.d"
    journal.mkdir()
    (journal / "volatile.conf").write_text("[Journal]\nStorage=volatile\n")
    if boot == 1:
        for link in (ROOT / "etc/systemd/system").glob("*.wants/*"):
            link.unlink()
        lines = [f"{address} {' '.join(names)}" for address, names in spec.hosts.items()]
        (ROOT / "etc/hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))


def network() -> Iterator[list[str]]:
    """The node's end of a wire, and the other end in the namespace `far`."""
    for command in (
        "ip netns add far",
        "ip link add near type veth peer name wire netns far",
        "ip link set lo up",
        "ip link set near up",
        "ip -n far link set lo up",
        "ip -n far link set wire up",
        "ip address add 192.0.2.1/24 dev near",
        "ip address add 2001:db8::1/64 dev near nodad",
    ):
        yield command.split()


if __name__ == "__main__":
    specification = Spec.from_json(sys.argv[1])
    if len(sys.argv) == 2:
        sys.exit(run_boots(specification))
    become_systemd(specification, int(sys.argv[2]))
