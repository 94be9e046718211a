"""Scenarios of installing: what each mode gives, and that nothing but it changes."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from node.far import CDN, HUB, LAYERS, LOCKED, OTHER_PORT, REGISTRY, REGISTRY6, TAGS
from node.operated import UNIT, Operated, main_pid, profile, ruleset, tree, wait_until_healthy
from node.runtimes import Docker, must, reference, run, runtimes
from node.tree import differences
from support.debian_root import LOWER

PRIVATE = (REGISTRY, REGISTRY6, OTHER_PORT, CDN, LOCKED)
REGISTRIES = (*PRIVATE, HUB)
RUNTIMES = ("docker/", "containerd/", "containers/")


def options(mode: str, variant: str = "broadwell") -> list[str]:
    """The options of an install for all registries; Docker Hub needs no naming."""
    named = [word for registry in PRIVATE for word in ("--registry", registry)]
    return ["--mode", mode, "--profile", str(profile(variant)), *named]


def before(node: Operated) -> dict[str, Any]:
    """The node without us: pulls, and what a dry run says and changes."""
    pulls = everything(node, registries=(REGISTRY,))
    state, rules = tree(), ruleset()
    done = node.install("--dry-run", *options("transparent"))
    return {
        "pulls": pulls,
        "dry run": [done.status, done.output],
        "changed": differences(state, tree(), LOWER),
        "ruleset is kept": rules == ruleset(),
    }


def install(node: Operated, mode: str, ports: Sequence[int]) -> dict[str, Any]:
    """Install a mode; how it went, and what a second run of the same changes."""
    done = node.install(*options(mode))
    found: dict[str, Any] = {"install": [done.status, done.output]}
    if done.status:
        found["unit"] = run("systemctl", "status", "--no-pager", "--lines", "50", UNIT).output
        return found
    wait_until_healthy(*ports)
    state, rules, pid = tree(), ruleset(), main_pid()
    again = node.install(*options(mode))
    return {
        **found,
        "again": [again.status, again.output],
        "changed by again": differences(state, tree(), LOWER),
        "the same process": pid == main_pid(),
        "the same tables": _without_elements(rules) == _without_elements(ruleset()),
    }


def _without_elements(rules: str) -> list[str]:
    """A ruleset's lines but those of what its sets hold now."""
    lines = [line.strip() for line in rules.splitlines()]
    return [line for line in lines if not line.startswith("elements") and "expires" not in line]


def everything(node: Operated, registries: Sequence[str] = REGISTRIES) -> dict[str, Any]:
    """Pull each tag from each registry with each runtime; run it once a runtime."""
    found: dict[str, Any] = {}
    for runtime in runtimes():
        for registry in registries:
            for tag in TAGS:
                pulled = node.pull(runtime, registry, tag)
                found[f"{runtime.name} {registry} {tag}"] = pulled
        if pulled["status"] == 0:
            found[f"{runtime.name} prints"] = runtime.prints(reference(registry, tag))
    return found


def layers(node: Operated, since: dict[str, int]) -> dict[str, Any]:
    """How layers have come since so many requests: by which host's name, and whose TLS."""
    found: dict[str, Any] = {}
    for registry in REGISTRIES:
        tags = node.digests[registry].values()
        ends = tuple(published["layer of broadwell"] for published in tags)
        asked = [a for a in node.far.asked(registry)[since[registry] :] if a.path.endswith(ends)]
        found[registry] = {
            agent: sorted({a.host for a in asked if a.agent.startswith(agent) and a.status == 200})
            for agent in RUNTIMES
        }
    own = ssl.PEM_cert_to_DER_cert(node.far.certificate.read_text())
    for name, port in (
        *((REGISTRY, 443), (REGISTRY, 5000), (LAYERS, 443)),
        *((REGISTRY, 17443), (REGISTRY, 17444), (REGISTRY6, 17443)),
    ):
        found[f"TLS of {name}:{port} is its own"] = _certificate(name, port) == own
    found["the layers' host is let past"] = "192.0.2.4" in ruleset()
    log = node.far.log(LAYERS)
    found["the layers' host has served"] = [a for a in RUNTIMES if f"agent='{a}" in log]
    return found


def _certificate(host: str, port: int) -> bytes:
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, port), timeout=10))


def counts(node: Operated) -> dict[str, int]:
    """How many requests each registry has answered."""
    return {registry: len(node.far.asked(registry)) for registry in REGISTRIES}


def profile_change(node: Operated) -> dict[str, Any]:
    """The operator edits the installed profile, then puts the old one back."""
    installed, pid, found = Path("/etc/metahub/profile.yaml"), main_pid(), {}
    for variant in ("generic", "broadwell"):
        new = installed.with_suffix(".new")
        must("cp", "--preserve=all", str(installed), str(new))
        new.write_bytes(profile(variant).read_bytes())
        new.replace(installed)
        found[variant] = node.pull(Docker(), REGISTRY, "list")["variant"]
    return {**found, "the same process": pid == main_pid()}
