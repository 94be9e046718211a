"""Plays all scenarios on the node; the tests judge what it has written.

systemd runs it in a root of its own, as `player.py FOLDER BOOT`. The first boot installs
and has faults, the second shows that the node comes up so, and uninstalls.
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

from node import faults, kills, plays
from node.far import REGISTRY, TAGS, Far, publish
from node.operated import Operated, prepare, ruleset, tree, wait_until_healthy
from node.runtimes import must, runtimes
from node.tree import differences
from support.debian_root import LOWER

FAR = Path("/var/lib/containers/far")  # on a tmpfs that stays between boots


class Player:
    """Runs scenarios, each with its seconds; one that fails is a result, too."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.results: dict[str, Any] = {"seconds": {}}

    def play(self, name: str, scenario: Callable[[], Any]) -> None:
        """Run one, and write down what is known so far."""
        began = time.monotonic()
        print(name, flush=True)
        try:
            self.results[name] = scenario()
        except (RuntimeError, subprocess.SubprocessError, OSError, LookupError):
            text = f"{traceback.format_exc()}\n{faults.journal()[-6000:]}"
            self.results[name] = {"failed": text}
        self.results["seconds"][name] = round(time.monotonic() - began, 1)
        self.file.write_text(json.dumps(self.results, indent=1))


def publish_all() -> dict[str, dict[str, dict[str, str]]]:
    """The digests of all that is published, by registry and tag."""
    digests: dict[str, dict[str, dict[str, str]]] = {name: {} for name in plays.REGISTRIES}
    for name, published in digests.items():
        for tag, oci in TAGS.items():
            published[tag] = publish(name, tag, oci)
    for moment in range(len(kills.MOMENTS) + 1):
        for tag in kills.large(moment):
            digests[REGISTRY][tag] = publish(REGISTRY, tag, size=kills.LARGE_BYTES)
    return digests


def first_boot(player: Player, node: Operated) -> None:
    player.play("before", lambda: plays.before(node))
    state, rules = tree(), ruleset()
    (player.file.parent / "before.json").write_text(json.dumps([state, rules]))
    player.play("transparent", lambda: plays.install(node, "transparent", (443, 5000)))
    since = plays.counts(node)
    player.play("transparent pulls", lambda: plays.everything(node))
    player.play("layers", lambda: plays.layers(node, since))
    player.play("profile", lambda: plays.profile_change(node))
    player.play("crowded ports", faults.crowded_ports)
    player.play("restart", lambda: faults.restart(node))
    for at, (name, moment) in enumerate(kills.MOMENTS.items()):
        player.play(f"killed {name}", partial(kills.kill, node, at, moment, (443, 5000)))
    player.play("stopped process", lambda: faults.stop_the_process(node))
    player.play("upgrade", lambda: faults.upgrade(node, plays.options("transparent")))
    player.play("stop", lambda: faults.stop_and_start(node))
    player.play("flush", lambda: faults.flush(node))
    player.play("proxy", lambda: plays.install(node, "proxy", ()))
    player.play("proxy pulls", lambda: plays.everything(node))
    proxy = len(kills.MOMENTS)
    player.play("proxy killed", lambda: kills.kill(node, proxy, kills.MOMENTS["in the layers"], ()))
    player.play("mirror", lambda: plays.install(node, "mirror", ()))
    player.play("mirror pulls", lambda: plays.everything(node))
    player.play("counts", faults.counts)
    player.play("back", lambda: plays.install(node, "transparent", (443, 5000)))


def second_boot(player: Player, node: Operated) -> None:
    player.play("booted", lambda: wait_until_healthy(443, 5000))
    player.play("booted pulls", lambda: plays.everything(node, registries=(REGISTRY,)))
    state, rules = json.loads((player.file.parent / "before.json").read_text())

    def uninstall() -> dict[str, Any]:
        done = node.uninstall()
        found = {
            "uninstall": [done.status, done.output],
            "differences": differences(state, tree(), LOWER),
            "rulesets": [rules, ruleset()],
            "pulls": [node.pull(runtime, REGISTRY, "list") for runtime in runtimes()],
        }
        again = node.uninstall()
        return {**found, "again": [again.status, again.output]}

    player.play("uninstall", uninstall)


def main(folder: Path, boot: int) -> None:
    """Play a boot."""
    player = Player(folder / f"results-{boot}.json")
    far = Far(FAR)
    far.start()
    if boot == 1:
        prepare(far.ca)
        digests = publish_all()
        (FAR / "digests.json").write_text(json.dumps(digests))
        first_boot(player, Operated(far, digests))
    else:
        must("systemctl", "start", "docker")
        digests = json.loads((FAR / "digests.json").read_text())
        node = Operated(far, digests)
        node.version = "next"
        second_boot(player, node)
    (folder / f"journal-{boot}").write_text(must("journalctl", "--no-pager", "--boot"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
