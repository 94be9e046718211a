"""A Kubernetes node without Kubernetes: real containerd, and the DaemonSet's containers by hand.

Run as `unshare … python mirrored.py FOLDER`, as tests/clients/node.py is, and plays its
scenarios the same way. Each container's command has the user, the capabilities and the
arguments that the manifest gives it; only the node's root is a folder.
"""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from clients.node import (
    ADDRESS,
    HOST,
    IMAGE,
    NAME,
    TYPES,
    Node,
    past_the_proxy,
    prepare_network,
    publish,
    start_registry,
    wait_for,
)
from deploy.manifests import NODE, Container, containers

SOCKET = "/run/c.sock"
PRIVATE = f"{HOST}:5000"
# bcrypt of `secret`, for docker-registry's htpasswd.
USERS = "user:$2b$05$fYP7e/8kx0NTQAvbjxcT9.ZxnufM6eZ7zF36wZAiQDSJ/KLYOMcw.\n"


class Cluster:
    """What the kubelet would do on this node."""

    def __init__(self, node: Node, ca: Path) -> None:
        self.node = node
        self.root = node.folder / "root"
        self.trust = node.folder / "trust"
        self.trust.mkdir()
        (self.trust / "registry.pem").write_bytes(ca.read_bytes())
        self.prepare, self.mitmdump = containers("node")
        self.remove, _ = containers("removal")
        self.proxy: subprocess.Popen[bytes] | None = None

    def command(self, container: Container, *arguments: str) -> list[str]:
        """A container's command. The test's checkout may be in a folder of root's."""
        privileges = container.privileges("DAC_READ_SEARCH")
        command = [*privileges, sys.executable, "-B", str(NODE), *arguments]
        return [*command, "--root", str(self.root)]

    def call(self, container: Container, *arguments: str) -> int:
        return subprocess.run(self.command(container, *arguments), check=False).returncode

    def start(self) -> int:
        """Run mitmdump and its postStart; what that ended with."""
        shown = {"/etc/metahub-profile/profile.yaml": self.node.profile}
        shown["/etc/metahub-trust"] = self.trust
        arguments = self.mitmdump.arguments
        for inside, path in shown.items():
            arguments = [argument.replace(inside, str(path)) for argument in arguments]
        with (self.node.folder / "mitmdump.log").open("a") as log:
            self.proxy = subprocess.Popen(
                [*self.command(self.mitmdump, *arguments), "--set", "termlog_verbosity=debug"],
                env={**self.node.environment, "PYTHONUNBUFFERED": "1", "TMPDIR": "/run/pod"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.node.daemons.append(self.proxy)
        return self.call(self.mitmdump, self.hook("postStart"))

    def hook(self, name: str) -> str:
        found: list[str] = self.mitmdump.spec["lifecycle"][name]["exec"]["command"]
        return found[-1]

    def stop(self, number: int) -> None:
        assert self.proxy
        self.proxy.send_signal(number)
        self.proxy.wait(10)

    def tree(self) -> dict[str, str]:
        """Modes and owners by path."""
        return {
            str(path.relative_to(self.root)): f"{path.stat().st_mode & 0o7777:o}"
            f" {path.stat().st_uid}"
            for path in sorted(self.root.rglob("*"))
        }

    def asked(self, registry: str) -> list[str]:
        """`METHOD path status bytes` of each request that a registry has answered, in order."""
        text = (self.node.folder / f"{registry}.log").read_text(errors="replace")
        parts = [line.split('"') for line in text.splitlines() if '] "' in line]
        return [" ".join([*part[1].split()[:2], *part[2].split()]) for part in parts]

    def pull(self, image: str, *options: str) -> dict[str, Any]:
        """What ctr records, and what the registry was asked by whom (`?ns=`: by the mirror)."""
        log = "private" if image.startswith(PRIVATE) else "registry"
        before = len(self.asked(log))
        hosts = str(self.root / "etc/containerd/certs.d")
        ctr = ["ctr", "-a", SOCKET, "images"]
        began = time.monotonic()
        self.node.run(*ctr, "pull", "--hosts-dir", hosts, *options, image)
        seconds = round(time.monotonic() - began, 1)
        listed = self.node.run(*ctr, "ls", f"name=={image}").splitlines()[1]
        self.node.run(*ctr, "rm", "--sync", image)
        time.sleep(0.3)  # the registry logs behind the answer
        return {
            "digest": next(word for word in listed.split() if word.startswith("sha256:")),
            "asked": self.asked(log)[before:],
            "seconds": seconds,
        }


def start_containerd(node: Node, ca: Path) -> None:
    config = node.folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{node.folder}/containerd"\nstate = "/run/containerd-state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{SOCKET}"\n'
    )
    node.start("containerd", ["containerd", "--config", str(config)])
    # What the node trusts: the registry, and not metahub.
    node.environment |= {"SSL_CERT_FILE": str(ca), "SSL_CERT_DIR": "/nonexistent"}
    answer = ["ctr", "-a", SOCKET, "plugins", "ls"]
    wait_for("containerd", lambda: "TYPE" in node.run(*answer, check=False))


def start_private_registry(node: Node) -> None:
    """The same images once more, for those who know the password."""
    config = json.loads((node.folder / "registry.yml").read_text())
    users = node.folder / "users"
    users.write_text(USERS)
    config["http"]["addr"] = f"{ADDRESS}:5000"
    config["auth"] = {"htpasswd": {"realm": "test", "path": str(users)}}
    file = node.folder / "private.yml"
    file.write_text(json.dumps(config))
    node.start("private", ["docker-registry", "serve", str(file)])

    def up() -> bool:
        with past_the_proxy() as client:
            return client.get(f"https://{PRIVATE}/v2/").status_code == 401

    time.sleep(0.5)
    wait_for("the private registry", up)


def play(node: Node, cluster: Cluster) -> None:
    results, image = node.results, f"{IMAGE}:list"
    certs = cluster.root / "etc/containerd/certs.d"
    (cluster.root / "etc/containerd").mkdir(parents=True)
    (cluster.root / "etc/containerd/config.toml").write_text("the node's own")
    results["tree before"] = cluster.tree()

    node.become("type1")
    prepared = [cluster.call(cluster.prepare, *cluster.prepare.arguments) for _ in range(2)]
    results["prepared"] = prepared
    results["tree prepared"] = cluster.tree()
    results["probe before"] = cluster.call(cluster.mitmdump, "probe")
    results["announced"] = cluster.start()
    results["hosts.toml"] = (certs / "_default/hosts.toml").read_text()
    results["probe"] = cluster.call(cluster.mitmdump, "probe")
    results["tree announced"] = cluster.tree()

    for machine in TYPES:
        node.become(machine)
        results[machine] = cluster.pull(image)
    results["pinned"] = cluster.pull(f"{IMAGE}@{results['digests']['index']}")
    credentials = ("--user", "user:secret")
    results["private"] = cluster.pull(f"{PRIVATE}/{NAME}:list", *credentials)
    try:
        cluster.pull(f"{PRIVATE}/{NAME}:list")
    except RuntimeError as error:
        results["private, without credentials"] = str(error)

    results["withdrawn"] = cluster.call(cluster.mitmdump, cluster.hook("preStop"))
    results["tree withdrawn"] = cluster.tree()
    results["drained"] = cluster.pull(image)
    cluster.stop(signal.SIGTERM)

    results["announced again"] = cluster.start()
    results["again"] = cluster.pull(image)
    cluster.stop(signal.SIGKILL)
    results["probe of a killed"] = cluster.call(cluster.mitmdump, "probe")
    results["killed"] = cluster.pull(image)

    prepared = [cluster.call(cluster.remove, "remove") for _ in range(2)]
    results["removed"] = prepared
    results["tree removed"] = cluster.tree()


def main(folder: Path) -> None:
    """Play everything; a failure is a result, with the logs."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    node = Node(folder / "work")
    node.folder.mkdir()
    output = sys.stdout
    try:
        prepare_network(node.folder)
        Path("/run/pod").mkdir(mode=0o1777)
        Path("/run/pod").chmod(0o1777)
        ca = start_registry(node)
        publish(node)
        start_private_registry(node)
        start_containerd(node, ca)
        play(node, Cluster(node, ca))
    except (RuntimeError, subprocess.SubprocessError, OSError) as error:
        logs = [f"{log.name}:\n{log.read_text()[-3000:]}" for log in node.folder.glob("*.log")]
        node.results["failed"] = "\n".join([repr(error), *logs])
    finally:
        warnings = re.compile(r"left as upstream|Traceback|rror")
        log = node.folder / "mitmdump.log"
        lines = log.read_text().splitlines() if log.exists() else []
        node.results["warnings"] = [line for line in lines if warnings.search(line)]
        json.dump(node.results, output)
        output.flush()
        for daemon in node.daemons:
            daemon.terminate()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
