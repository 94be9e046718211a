"""The article's session: what a machine gets depends on how it has logged in."""

import sys
from pathlib import Path
from typing import Any

import httpx

from clients.node import NAME
from hub.hubs import META_PASSWORD
from hub.place import Place
from hub.runtimes import Docker, Podman, Runtime
from node.runtimes import must, run
from support.embedded_registry import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

PROFILES = Path(__file__).resolve().parents[2] / "profiles"
HUBS = {"hub.test": "", "meta.test": META_PASSWORD}
TYPES = {"type1": "broadwell", "type2": "skylake", "type4": "broadwell-nvcap"}
TAGS = ("latest", "oci")


def play_session(place: Place, hub: str, runtime: Runtime) -> dict[str, Any]:
    """Log in as one type after another; pull and run each time."""
    got: dict[str, Any] = {}
    for machine in TYPES:
        user = f"qnib-{machine}"
        login = runtime.log_in(hub, user, HUBS[hub] or user)
        for tag in TAGS:
            image = f"{hub}/{NAME}:{tag}"
            pull = runtime.pull(image)
            if pull.status:
                raise RuntimeError(f"{login.output}\n{pull.output}")
            digest = runtime.digest(image)
            got[f"{machine} {tag}"] = {
                "login": login.output,
                "newer": "Downloaded newer image" in pull.output,
                "prints": runtime.prints(image),
                "digest": digest,
                "exists": exists(place, digest),
            }
    return got


def exists(place: Place, digest: str) -> int:
    """The status that the registry behind the hub answers for a digest."""
    accept = ", ".join((DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST))
    with httpx.Client(base_url="https://reg.test", verify=str(place.ca)) as client:
        path = f"/v2/{NAME}/manifests/{digest}"
        return client.head(path, headers={"Accept": accept}).status_code


def play_push(hub: str, repository: str, tag: str = "pushed") -> dict[str, Any]:
    """Push what was pulled from the first hub, as whoever docker is logged in as."""
    image = f"{hub}/{repository}:{tag}"
    must("docker", "tag", f"hub.test/{NAME}:latest", image)
    done = run("docker", "push", image)
    return {"status": done.status, "output": done.output}


def play_refused_push() -> dict[str, Any]:
    """MetaHub's accounts may not push."""
    Docker().log_in("meta.test", "qnib-type1", META_PASSWORD)
    return play_push("meta.test", NAME)


def play_metahub_login(place: Place) -> dict[str, Any]:
    """`metahub login` picks the type by the machine's profile; then a pull and a run."""
    got: dict[str, Any] = {}
    password = place.folder / "password"
    password.write_text(f"{META_PASSWORD}\n")
    metahub = [sys.executable, "-c", "from metahub_addon.cli import main; main()", "login"]
    metahub += ["--registry", "meta.test", "--user", "qnib", "--password-file", str(password)]
    for runtime in (Docker(), Podman()):
        for machine in ("type1", "type2"):
            profile = str(PROFILES / f"{machine}.yaml")
            command = [*metahub, "--runtime", runtime.name, "--profile", profile]
            login = run(*command, "--ca", str(place.ca))
            image = f"meta.test/{NAME}:latest"
            pull = runtime.pull(image)
            got[f"{runtime.name} {machine}"] = {
                "login": [login.status, login.output],
                "pull": [pull.status, pull.output[-1000:]],
                "prints": runtime.prints(image) if pull.status == 0 else "",
            }
    return got
