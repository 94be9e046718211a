"""Two hubs behind HAProxy, one of which dies in the middle of a fleet's pulls."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clients.node import NAME
from hub.hubs import META_PASSWORD
from hub.place import Place, wait_until_up
from hub.runtimes import Docker, Podman
from hub.upstreams import FLEET_TAGS, Published
from node.runtimes import Done, run

HOST, USER = "fleet.test", "qnib-type1"
AT_ONCE, KILLED_AFTER = 5, 20
CONFIG = Path(__file__).resolve().parents[2] / "scripts/haproxy/metahub-hub.cfg"
# The names and addresses of that file → ours.
OURS = {
    "bind :443": "bind 192.0.2.13:443",
    "hub.example": HOST,
    "192.0.2.11": "192.0.2.14",
    "192.0.2.12": "192.0.2.15",
}
BACKEND, REPLICAS = "registry", {"one": "hub1", "two": "hub2"}


def start_haproxy(place: Place) -> None:
    """Start it with the file that operators get; both replicas must be there already."""
    text = CONFIG.read_text()
    for theirs, ours in OURS.items():
        assert theirs in text
        text = text.replace(theirs, ours)
    config = place.folder / "haproxy.cfg"
    config.write_text(text)
    etc = Path("/etc/haproxy")
    etc.mkdir(exist_ok=True)
    (etc / "hub.pem").write_bytes(place.pem.read_bytes())
    (etc / "hub-ca.pem").write_bytes(place.ca.read_bytes())
    place.start("haproxy", "haproxy", "-db", "-f", str(config))
    wait_until_up(place, {"haproxy": "192.0.2.13:443"})


@dataclass(frozen=True)
class Forwarded:
    """A request by HAProxy's log.

    `state` is its termination state: `S…` if the replica broke off. `tries` counts the
    times that it was sent again.
    """

    server: str
    status: int
    state: str
    tries: int


def forwarded(log: str) -> list[Forwarded]:
    """All requests that were sent to a replica ('HTTP log format' of HAProxy's manual)."""
    found = []
    for line in log.splitlines():
        words = line.split()
        if len(words) > 11 and words[3].startswith(f"{BACKEND}/"):
            server, tries = words[3].removeprefix(f"{BACKEND}/"), words[10].split("/")[4]
            found.append(Forwarded(server, int(words[5]), words[9], int(tries.strip("+"))))
    return found


@dataclass
class Fleet:
    """Pulls a tag each, with one of three clients, and once more if that fails."""

    place: Place
    published: Published
    done: int = 0
    repeated: dict[str, str] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def pull(self, number: int) -> None:
        """Pull a tag, note how that went, and end a replica when it is time to."""
        tag = FLEET_TAGS[number]
        client, pull, digest = self._client(number, f"{HOST}/{NAME}:{tag}")
        name = f"{client} {tag}"
        done = pull()
        if done.status:
            self.repeated[name] = done.output[-1000:]
            done = pull()
        if done.status:
            self.lost[name] = done.output[-1000:]
        else:
            expected = self.published.children[f"reg.test/{NAME}:{tag}"]["broadwell"]
            if digest() != expected and client != "skopeo":
                self.wrong[name] = digest()
        with self._lock:
            self.done += 1
            if self.done == KILLED_AFTER:
                self.place.daemons["two"].kill()

    def _client(self, number: int, image: str) -> tuple[str, Callable[[], Done], Callable[[], str]]:
        docker, podman = Docker(), Podman()
        if number % 5 == 0:
            return "docker", lambda: docker.pull(image), lambda: docker.digest(image)
        if number % 5 in (1, 2):
            return "podman", lambda: podman.pull(image), lambda: podman.digest(image)
        copy = str(self.place.folder / f"copied-{number}")
        command = ("skopeo", "copy", "--quiet", f"docker://{image}", f"dir:{copy}")
        return "skopeo", lambda: run(*command), lambda: ""


def play_replicas(place: Place, published: Published) -> dict[str, Any]:
    """Fifty pulls, five at once; one replica is killed after twenty."""
    logins = [
        Docker().log_in(HOST, USER, META_PASSWORD),
        Podman().log_in(HOST, USER, META_PASSWORD),
    ]
    fleet = Fleet(place, published)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fleet.pull, range(len(FLEET_TAGS))))
    requests = forwarded(place.daemons["haproxy"].log)
    return {
        "logins": [[done.status, done.output] for done in logins],
        "pulls": fleet.done,
        "repeated": fleet.repeated,
        "lost": fleet.lost,
        "wrong": fleet.wrong,
        "answered": {
            name: sum(one.server == server and one.status < 500 for one in requests)
            for name, server in REPLICAS.items()
        },
        "sent again": sum(one.tries > 0 for one in requests),
        "cut off": sum(one.state.startswith("S") for one in requests),
        "one is up": place.daemons["one"].process.poll() is None,
    }
