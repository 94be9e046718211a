"""The scenario in which the proxy is killed in the midst of pulls."""

import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from node.far import REGISTRY, Asked, wait_for
from node.operated import Operated, main_pid, send, wait_until_healthy
from node.runtimes import reference, runtimes

# Twenty pulls by such a wire take some seconds, so that all are under way at once.
LARGE_BYTES = 3 * 1024 * 1024
RATE = "200mbit"


@dataclass(frozen=True)
class Answered:
    """What a registry has answered: manifests, layers past the proxy, and other blobs.

    Of those, which are configurations, podman's do not count: it asks for them last.
    """

    manifests: int
    layers: int
    configurations: int

    @classmethod
    def count(cls, asked: Sequence[Asked]) -> "Answered":
        """Count what was answered well."""
        well = [a for a in asked if a.status == 200]
        blobs = [a for a in well if "/blobs/" in a.path]
        others = [a for a in blobs if ":" not in a.host and not a.agent.startswith("containers/")]
        return cls(
            manifests=sum("/manifests/" in a.path for a in well),
            layers=sum(":" in a.host for a in blobs),
            configurations=len(others),
        )


Moment = Callable[[Answered], bool]
# When the proxy is killed, in twenty pulls: seven by docker, seven by ctr, six by podman.
MOMENTS: dict[str, Moment] = {
    "in the manifests": lambda answered: answered.manifests >= 1,
    "in the layers": lambda answered: answered.layers >= 4,
    "behind the manifests": lambda answered: answered.configurations >= 14,
}


def large(at: int) -> list[str]:
    """The tags of a kill's images, which no pull before has fetched."""
    return [f"large{at}-{number}" for number in range(7)]


def kill(node: Operated, at: int, moment: Moment, redirected: Sequence[int]) -> dict[str, Any]:
    """Kill the proxy in twenty pulls, as soon as the moment is there.

    A pull that fails is tried once more. `redirected`: ports that are, before and again.
    """
    pulls = [(runtime, tag) for tag in large(at) for runtime in runtimes()][:20]
    before = len(node.far.asked(REGISTRY))

    def answered() -> Answered:
        return Answered.count(node.far.asked(REGISTRY)[before:])

    node.far.slow_down(RATE)
    try:
        with ThreadPoolExecutor(len(pulls)) as pool:
            futures = [pool.submit(rt.pull, reference(REGISTRY, tag)) for rt, tag in pulls]
            wait_for("the moment of the kill", lambda: moment(answered()))
            ended = sum(future.done() for future in futures)
            reached = answered()
            killed = send(signal.SIGKILL)
            results = [future.result() for future in futures]
    finally:
        node.far.slow_down("")
    found = []
    for (runtime, tag), done in zip(pulls, results, strict=True):
        first = node.pulled(runtime, REGISTRY, tag, done)
        again = None if done.status == 0 else node.pull(runtime, REGISTRY, tag)
        found.append({"runtime": runtime.name, "first": first, "again": again})
    wait_for("another process", lambda: main_pid() not in (0, killed))
    wait_until_healthy(*redirected)
    then = [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()]
    return {"answered": asdict(reached), "ended before": ended, "pulls": found, "then": then}
