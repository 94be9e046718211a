"""Docker, containerd and podman, as an operator calls them on the node."""

import json
import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clients.node import NAME
from node.far import HUB, LOCKED, PASSWORD, USER

TIMEOUT = 120
HOSTS_FOLDER = Path("/etc/containerd/certs.d")


@dataclass(frozen=True)
class Done:
    """How a command ended, and all that it printed."""

    status: int
    output: str


def run(*command: str, **environment: str) -> Done:
    """Run to the end, with these variables, too; what takes too long has status 124."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            env={**os.environ, **environment},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return Done(124, f"{error}\n{error.output}")
    return Done(done.returncode, done.stdout)


def must(*command: str) -> str:
    """Run to the end; its output. Raises RuntimeError if it fails."""
    done = run(*command)
    if done.status:
        raise RuntimeError(f"{' '.join(command)} ended with {done.status}:\n{done.output}")
    return done.output


class Docker:
    """The docker CLI with the node's dockerd."""

    name = "docker"

    def pull(self, image: str) -> Done:
        """Pull an image."""
        return run("docker", "pull", image)

    def digest(self, image: str) -> str:
        """The digest that is recorded for an image that was pulled."""
        listed = must("docker", "inspect", "--format", "{{json .RepoDigests}}", image)
        name = image.rpartition(":")[0].removeprefix("docker.io/")
        return next(
            (d.partition("@")[2] for d in json.loads(listed) if d.startswith(f"{name}@")), ""
        )

    def prints(self, image: str) -> str:
        """What a container of the image prints."""
        return must("docker", "run", "--rm", "--network", "none", image).strip()

    def forget(self, image: str) -> None:
        """Remove an image, so that the next pull has to fetch its layers."""
        run("docker", "rmi", "--force", image)


class Containerd:
    """The ctr CLI with the node's containerd.

    Unlike the CRI it pulls in its own process and reads no configuration: it is told what
    containerd has in its environment and in its folder of hosts.toml files.
    """

    name = "containerd"

    def __init__(self) -> None:
        self._runs = 0

    def pull(self, image: str) -> Done:
        hosts = ["--hosts-dir", str(HOSTS_FOLDER)] if HOSTS_FOLDER.is_dir() else []
        user = ["--user", f"{USER}:{PASSWORD}"] if image.startswith(LOCKED) else []
        shown = must("systemctl", "show", "--property", "Environment", "--value", "containerd")
        variables = dict(word.split("=", 1) for word in shlex.split(shown))
        return run("ctr", "images", "pull", *hosts, *user, image, **variables)

    def digest(self, image: str) -> str:
        listed = must("ctr", "images", "ls", f"name=={image}").splitlines()
        return next((w for line in listed for w in line.split() if w.startswith("sha256:")), "")

    def prints(self, image: str) -> str:
        self._runs += 1
        return must("ctr", "run", "--rm", image, f"run-{self._runs}").strip()

    def forget(self, image: str) -> None:
        run("ctr", "images", "rm", "--sync", image)


class Podman:
    """podman, which has no daemon."""

    name = "podman"
    # A container may not raise its limits above what this machine gives to root.
    limits = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096")
    options = ("--cgroup-manager", "cgroupfs", "--events-backend", "none")

    def pull(self, image: str) -> Done:
        return run("podman", *self.options, "pull", "--quiet", image)

    def digest(self, image: str) -> str:
        return must("podman", *self.options, "inspect", "--format", "{{.Digest}}", image).strip()

    def prints(self, image: str) -> str:
        run_it = ("run", "--rm", "--network", "none", *self.limits)
        return must("podman", *self.options, *run_it, image).strip()

    def forget(self, image: str) -> None:
        run("podman", *self.options, "rmi", "--force", image)


Runtime = Docker | Containerd | Podman


def runtimes() -> Sequence[Runtime]:
    """All three."""
    return (Docker(), Containerd(), Podman())


def reference(registry: str, tag: str) -> str:
    """The image of a tag, as runtimes name it."""
    return f"{'docker.io' if registry == HUB else registry}/{NAME}:{tag}"
