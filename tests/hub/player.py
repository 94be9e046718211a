"""Plays all scenarios in namespaces of their own; the tests judge what it prints.

Run as `unshare --mount --net --pid --fork --kill-child --mount-proc python player.py
FOLDER`. With the namespaces ends everything that was started in them.
"""

import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hub import guarded, session
from hub.hubs import HUBS, file_before_and_after, start_hub, write_hub_files
from hub.issuer import registry_auth, token_issuer
from hub.leaks import find_secrets
from hub.place import Place, prepare_clients, prepare_network, tail, wait_until_up
from hub.replicas import play_replicas, start_haproxy
from hub.runtimes import all_runtimes, start_runtimes, wait_for_runtimes
from hub.tee import Tee
from hub.upstreams import Published, publish_all, start_registries, wait_for_registries
from hub.without_login import play_without_login
from support.token_server import TokenServer


class Player:
    """Runs scenarios, each with its seconds; one that fails is a result, too."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.results: dict[str, Any] = {"seconds": {}}

    def play(self, name: str, scenario: Callable[[], Any], *daemons: str) -> None:
        """Run one; if it fails, keep how, with the ends of these daemons' logs."""
        began = time.monotonic()
        try:
            self.results[name] = scenario()
        except (RuntimeError, subprocess.SubprocessError, OSError, LookupError, ValueError):
            text = f"{traceback.format_exc()}\n{tail(self.place, daemons)}"
            self.results[name] = {"failed": text}
        self.results["seconds"][name] = round(time.monotonic() - began, 1)


def start_all(place: Place, auth: dict[str, Any]) -> None:
    """Start everything but HAProxy, side by side; registries are up when it returns."""
    start_runtimes(place)
    start_registries(place, auth)
    tees = [Tee("locked", "192.0.2.4:443", "192.0.2.4:5443")]
    tees += [Tee("auth", "192.0.2.5:443", "192.0.2.5:5443")]
    tees += [Tee("guarded", "192.0.2.12:443", "192.0.2.12:5443")]
    script = str(Path(__file__).with_name("tee.py"))
    command = [sys.executable, script, str(place.folder), str(place.pem), str(place.ca)]
    place.start("tee", *command, *map(str, tees))
    write_hub_files(place)
    for name, listener in HUBS.items():
        start_hub(place, name, listener)
    wait_for_registries(place)


def play_all(player: Player, issuer: TokenServer) -> None:
    """All scenarios."""
    place = player.place
    published = Published()
    player.play("publish", lambda: vars(publish_all(place, published)), "registry", "other")
    player.play("up", lambda: wait_until_up(place, HUBS), *HUBS)
    if player.results["up"]:
        return  # that is what each test will say
    player.play("runtimes", wait_for_runtimes, "dockerd")
    start_haproxy(place)
    for hub in session.HUBS:
        for runtime in all_runtimes():
            scenario = partial(session.play_session, place, hub, runtime)
            player.play(f"{hub} {runtime.name}", scenario, hub.removesuffix(".test"))
    player.play("MetaHub's file", lambda: file_before_and_after(place))
    player.play("metahub login", lambda: session.play_metahub_login(place), "meta")
    player.play("refused push", session.play_refused_push, "meta")
    player.play("private pulls", guarded.play_pulls, "guarded", "locked-registry")
    player.play("messages", guarded.play_messages, "guarded")
    player.play("pushes", guarded.play_pushes, "guarded", "locked-registry")
    player.play("questions", lambda: guarded.play_questions(place, published), "guarded")
    player.play("guesses", lambda: guarded.play_guesses(place), "guarded")
    player.play("expiry", lambda: guarded.play_expiry(place, published, issuer), "guarded")
    player.play("secrets", lambda: find_secrets(place))
    player.play("without login", lambda: play_without_login(place), "one", "two", "haproxy")
    player.play("replicas", lambda: play_replicas(place, published), "one", "haproxy")


def main(folder: Path) -> None:
    """Play everything."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    work = folder / "work"
    work.mkdir()
    place = Place(work)
    player = Player(place)
    try:
        prepare_network(work)
        prepare_clients(work, place.ca)
        with token_issuer(place) as issuer:
            start_all(place, registry_auth(place, issuer))
            play_all(player, issuer)
    finally:
        json.dump(player.results, sys.stdout)
        sys.stdout.flush()
        place.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
