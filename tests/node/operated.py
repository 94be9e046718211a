"""The node as its operator sees it: install, uninstall, the service, the firewall, the tree."""

import base64
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

from node.far import LOCKED, PASSWORD, USER, Far, wait_for
from node.runtimes import Done, Runtime, must, reference, run
from node.tree import snapshot
from support.debian_root import LOWER, UPPER

REPOSITORY = Path(__file__).resolve().parents[2]
CLONES = {"this": Path("/srv/metahub-addon"), "next": Path("/srv/metahub-addon-next")}
CREDENTIALS = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
UNIT = "metahub.service"
PROFILES = {
    "broadwell": "machine_type: type1\nplatform: linux/amd64\nfeatures: [cpu:broadwell]\n",
    "generic": "machine_type: plain\nplatform: linux/amd64\nfeatures: [cpu:x86_64]\n",
}
NEXT = '"""The next version."""\n\n__version__ = "99.0"\n'
DOCKER_OPTIONS = "--iptables=false --ip6tables=false --bridge=none"
# The daemons need no bridge here.
DROP_IN = f"""[Service]
Environment="DOCKER_OPTS={DOCKER_OPTIONS} --exec-opt native.cgroupdriver=cgroupfs"
"""


class Operated:
    """The node, and what was published across the wire: digests by registry's name and tag."""

    def __init__(self, far: Far, digests: dict[str, dict[str, dict[str, str]]]) -> None:
        self.far = far
        self.digests = digests
        self.version = "this"

    def install(self, *options: str) -> Done:
        """Run scripts/install of the version."""
        return run(str(CLONES[self.version] / "scripts/install"), *options)

    def uninstall(self) -> Done:
        """Run scripts/uninstall of the version."""
        return run(str(CLONES[self.version] / "scripts/uninstall"))

    def pull(self, runtime: Runtime, registry: str, tag: str) -> dict[str, Any]:
        """Pull afresh: how it ended, and the variant whose digest is recorded."""
        image = reference(registry, tag)
        runtime.forget(image)
        return self.pulled(runtime, registry, tag, runtime.pull(image))

    def pulled(self, runtime: Runtime, registry: str, tag: str, done: Done) -> dict[str, Any]:
        """What a pull has brought."""
        variant = ""
        if done.status == 0:
            digest = runtime.digest(reference(registry, tag))
            known = self.digests[registry][tag]
            variant = next((name for name, value in known.items() if value == digest), digest)
        output = "" if done.status == 0 else done.output[-1500:]
        return {"status": done.status, "output": output, "variant": variant}


def prepare(ca: Path) -> None:
    """What an operator has before: clones, a private CA that is trusted, running daemons."""
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "__pycache__", "build", "tests")
    for clone in CLONES.values():
        shutil.copytree(REPOSITORY, clone, ignore=ignored)
    (CLONES["next"] / "metahub_addon/__init__.py").write_text(NEXT)
    for variant, text in PROFILES.items():
        profile(variant).write_text(text)
    logins = Path("/root/.docker/config.json")
    logins.parent.mkdir(exist_ok=True)
    logins.write_text(json.dumps({"auths": {LOCKED: {"auth": CREDENTIALS}}}))
    shutil.copy(ca, "/usr/local/share/ca-certificates/private.crt")
    must("update-ca-certificates")
    drop_in = Path("/etc/systemd/system/docker.service.d/operator.conf")
    drop_in.parent.mkdir(parents=True)
    drop_in.write_text(DROP_IN)
    must("systemctl", "daemon-reload")
    must("systemctl", "enable", "--now", "nftables", "containerd", "docker")


def profile(variant: str) -> Path:
    """The operator's profile of a host that gets a variant."""
    return Path(f"/srv/{variant}.yaml")


def main_pid() -> int:
    """The process of the service; 0 if there is none."""
    return int(must("systemctl", "show", "--property", "MainPID", "--value", UNIT))


def is_stopped(pid: int) -> bool:
    """True for a process that a signal has stopped."""
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ruleset() -> str:
    """All of the firewall's rules, as nft prints them."""
    return must("nft", "list", "ruleset")


def redirected_ports() -> list[int]:
    """The ports whose connections the firewall redirects into the proxy now."""
    listed = run("nft", "--json", "list", "set", "inet", "metahub", "alive")
    if listed.status:
        return []
    found = next(e["set"] for e in json.loads(listed.output)["nftables"] if "set" in e)
    elements = found.get("elem", [])
    return sorted(e["elem"]["val"] if isinstance(e, dict) else e for e in elements)


def wait_until_healthy(*ports: int) -> None:
    """Until the service is up and connections to the ports are redirected."""

    def healthy() -> bool:
        active = run("systemctl", "is-active", "--quiet", UNIT).status == 0
        return active and set(ports) <= set(redirected_ports())

    wait_for("a healthy proxy", healthy, 60)


def send(name: signal.Signals) -> int:
    """Send the proxy a signal; the process that got it."""
    pid = main_pid()
    os.kill(pid, name)
    return pid


def tree() -> dict[str, str]:
    """The state of each path that differs from the system below."""
    return snapshot(Path("/"), UPPER, LOWER)
