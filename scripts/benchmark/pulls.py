"""A whole `docker pull` by a real dockerd, on each route in turns."""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmark import figures
from benchmark.network import PRIVATE_PORT, REGISTRY_HOST
from benchmark.proxies import authorities, layers_by, running_mitmdump, stop
from benchmark.registry import USER, BenchRegistry
from benchmark.routes import BYPASS, STREAMED
from benchmark.settings import Settings
from clients.node import NAME, docker_socket, wait_for

# Pulls of the same image; the private ones are compared with the private direct one.
HOSTS = {
    "direct": REGISTRY_HOST,
    BYPASS.key: BYPASS.host,
    STREAMED.key: STREAMED.host,
    "private direct": f"{REGISTRY_HOST}:{PRIVATE_PORT}",
    "private relay": f"{BYPASS.host}:{PRIVATE_PORT}",
}
MIB = 1024 * 1024


def steps(settings: Settings) -> int:
    """How often `measure` advances."""
    return settings.rounds * len(HOSTS)


@contextmanager
def running_dockerd(registry: BenchRegistry, trusted: Path) -> Iterator[Callable[..., str]]:
    """A dockerd that trusts the registry and the proxies; gives the docker command."""
    node = registry.node
    folder = node.folder / "docker"
    folder.mkdir()
    socket = docker_socket(node)
    command = ["dockerd", "-H", socket, "--data-root", f"{folder}/data"]
    command += ["--exec-root", f"{folder}/exec", "-p", f"{folder}/docker.pid"]
    command += ["--iptables=false", "--ip6tables=false", "--bridge=none"]
    node.start("dockerd", command, SSL_CERT_FILE=str(trusted), SSL_CERT_DIR="/nonexistent")
    daemon = node.daemons[-1]

    def docker(*arguments: str, check: bool = True) -> str:
        command = ("docker", "--config", f"{folder}/config", "-H", socket)
        return node.run(*command, *arguments, check=check)

    try:
        wait_for("dockerd", lambda: "Server Version" in docker("info", check=False), 60)
        yield docker
    finally:
        stop(daemon)
        shutil.rmtree(folder, ignore_errors=True)


def measure(registry: BenchRegistry, settings: Settings, advance: Callable[[], None]) -> Any:
    """Each round has an image of its own, pulled on each route, and removed before the next."""
    taken: dict[str, list[float]] = {key: [] for key in HOSTS}
    with ExitStack() as stack:
        for proxy in (BYPASS, STREAMED):
            stack.enter_context(running_mitmdump(registry, settings.addon, proxy))
        docker = stack.enter_context(running_dockerd(registry, authorities(registry)))
        registry.serve_privately()
        registry.publish_image("small", 1, MIB)
        for key, host in HOSTS.items():
            if key.startswith("private"):
                docker("login", "--username", USER, "--password", USER, host)
            pull(docker, f"{host}/{NAME}:small")
        for at in range(settings.rounds):
            registry.forget()
            size = settings.pull_layer_mib * MIB
            registry.publish_image(f"round-{at}", settings.pull_layers, size)
            for key, host in in_turn(HOSTS, at):
                taken[key].append(pull(docker, f"{host}/{NAME}:round-{at}"))
                advance()
    log = registry.node.folder / f"mitmdump-{BYPASS.key}.log"
    ways = layers_by(log)
    if ways.keys() != {"past", "relay"}:
        lines = [line for line in log.read_text().splitlines() if "layers can't" in line]
        said = "; ".join(lines[-5:])
        raise RuntimeError(f"layers took other ways than past and by the relay: {ways} {said}")
    mib = settings.pull_layers * settings.pull_layer_mib
    return {"MiB": mib, "routes": {key: summary(key, taken) for key in HOSTS}}


def in_turn(hosts: dict[str, str], at: int) -> list[tuple[str, str]]:
    """The routes, each round with another first: who comes later meets warmer caches."""
    items = list(hosts.items())
    first = at % len(items)
    return items[first:] + items[:first]


def pull(docker: Callable[..., str], image: str) -> float:
    """Pull an image and remove it; the seconds that the pull took."""
    began = time.perf_counter()
    docker("pull", "--quiet", image)
    seconds = time.perf_counter() - began
    docker("rmi", "--force", image)
    return seconds


def summary(key: str, taken: dict[str, list[float]]) -> dict[str, Any]:
    """The figures of a route."""
    base = "private direct" if key.startswith("private") else "direct"
    shares = figures.ratios(taken[key], taken[base])
    return {
        "seconds": figures.median(taken[key]),
        "of direct": figures.median(shares),
        "of direct, rounds": [figures.significant(share) for share in shares],
    }
