"""Docker, containerd, podman and skopeo, as their users log in and pull."""

from collections.abc import Sequence
from pathlib import Path

from hub.place import Place
from node import runtimes as node
from node.far import wait_for
from node.runtimes import Done, run


class Docker(node.Docker):
    """The docker CLI, with dockerd."""

    def log_in(self, host: str, user: str, password: str) -> Done:
        """`docker login`."""
        return run("docker", "login", "-u", user, "-p", password, host)


class Podman(node.Podman):
    """podman, which keeps logins itself."""

    def log_in(self, host: str, user: str, password: str) -> Done:
        """`podman login`."""
        return run("podman", *self.options, "login", "-u", user, "-p", password, host)


class Containerd(node.Containerd):
    """ctr: it shows the login with each pull."""

    def __init__(self) -> None:
        super().__init__()
        self._login = ""

    def log_in(self, host: str, user: str, password: str) -> Done:
        """Remember the login."""
        self._login = f"{user}:{password}"
        return Done(0, "")

    def pull(self, image: str) -> Done:
        return run("ctr", "images", "pull", "--user", self._login, image)


Runtime = Docker | Podman | Containerd


def all_runtimes() -> Sequence[Runtime]:
    """All three."""
    return (Docker(), Podman(), Containerd())


def start_runtimes(place: Place) -> None:
    """Start containerd and dockerd; wait_for_runtimes says when they are up."""
    config = place.folder / "containerd.toml"
    config.write_text(
        f'version = 2\nroot = "{place.folder}/containerd"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
    )
    place.start("containerd", "containerd", "--config", str(config))
    wait_for("containerd", Path("/run/containerd/containerd.sock").exists)
    options = ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    options += ["--data-root", str(place.folder / "docker")]
    place.start("dockerd", "dockerd", *options)


def wait_for_runtimes() -> None:
    """Return when dockerd answers."""
    wait_for("dockerd", lambda: run("docker", "info").output.count("Server Version"), 60)
