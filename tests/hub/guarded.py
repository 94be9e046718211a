"""A private registry behind a hub: who gets what, and what nobody gets."""

import json
import time
from typing import Any

from clients.node import NAME
from hub import questions
from hub.asking import HOST, ask
from hub.hubs import ANY_PASSWORD
from hub.issuer import TOKEN_SECONDS, end_early
from hub.place import Place
from hub.questions import CRAFTED, MOUNT, QUESTIONS
from hub.runtimes import Docker, Podman, all_runtimes
from hub.session import play_push
from hub.upstreams import HIDDEN, Published
from support.token_server import TokenServer


def play_pulls() -> dict[str, Any]:
    """What real runtimes get with the hub's credentials; the hidden image is cached then."""
    got: dict[str, Any] = {}
    for runtime in all_runtimes():
        logins = [runtime.log_in(HOST, "qnib-type1", ANY_PASSWORD)]
        for name in (NAME, HIDDEN, f"other/{NAME}"):
            image = f"{HOST}/{name}:latest"
            done = runtime.pull(image)
            got[f"{runtime.name} {name}"] = {
                "login": logins[0].output,
                "pull": done.output[-1000:],
                "status": done.status,
                "prints": runtime.prints(image) if done.status == 0 else "",
            }
    return got


def play_messages() -> dict[str, Any]:
    """What users see who may not: `docker login`, `docker pull`, and podman's."""
    docker, podman = Docker(), Podman()
    seen: dict[str, Any] = {}
    for name, user, password in (
        ("wrong password", "limited", "wrong"),
        ("unknown type", "qnib-type9", ANY_PASSWORD),
    ):
        for runtime in (docker, podman):
            done = runtime.log_in(HOST, user, password)
            seen[f"{runtime.name} login, {name}"] = [done.status, done.output]
    for runtime in (docker, podman):
        login = runtime.log_in(HOST, *questions.LIMITED)
        done = runtime.pull(f"{HOST}/{HIDDEN}:latest")
        seen[f"{runtime.name} pull, outside the list"] = [done.status, login.output + done.output]
        done = runtime.pull(f"{HOST}/{NAME}:latest")
        seen[f"{runtime.name} pull, allowed"] = [done.status, done.output]
    return seen


def play_pushes() -> dict[str, Any]:
    """Who may push does so; who may not is told."""
    docker = Docker()
    docker.log_in(HOST, *questions.PUSHER)
    got = {"allowed": play_push(HOST, "qnib/pushed"), "elsewhere": play_push(HOST, NAME)}
    pulled = docker.pull(f"{HOST}/qnib/pushed:pushed")
    return {**got, "pulled": {"status": pulled.status, "output": pulled.output}}


def play_questions(place: Place, published: Published) -> dict[str, Any]:
    """What each question was answered with."""
    known = _digests(place, published)
    asked = {
        name: ask(place, one.method, one.path.format(**known), one.login, one.headers)
        for name, one in QUESTIONS.items()
    }
    crafted = {}
    for path in CRAFTED:
        whole = path.format(**known)
        crafted[path] = ask(place, "GET", whole, questions.LIMITED)["status"]
    mount = ask(place, "POST", MOUNT.format(**known), questions.PUSHER)
    taken = ask(place, "GET", f"/v2/qnib/pushed/blobs/{known['layer']}", questions.PUSHER)
    return {"asked": asked, "crafted": crafted, "mount": [mount["status"], taken["status"]]}


def play_guesses(place: Place) -> dict[str, Any]:
    """One guess after the other for an account; then the password that is known."""
    guesses = [ask(place, "GET", "/v2/", ("pusher", f"guess-{n}")) for n in range(6)]
    return {
        "guesses": [one["status"] for one in guesses],
        "retry after": [one["headers"].get("retry-after", "") for one in guesses],
        "errors": [one["errors"] for one in guesses],
        "known": ask(place, "GET", "/v2/", questions.PUSHER)["status"],
    }


def play_expiry(place: Place, published: Published, issuer: TokenServer) -> dict[str, Any]:
    """Requests whose tokens have ended, though the issuer has not said that they would.

    All that came before had tokens of the same short life, by what the issuer said.
    """
    known = _digests(place, published)
    end_early(issuer)
    got: dict[str, Any] = {}
    for when in ("new", "ended"):
        time.sleep(TOKEN_SECONDS + 0.2)
        for what in ("manifests/latest", "manifests/{child}", "blobs/{layer}", "tags/list"):
            path = f"/v2/{HIDDEN}/{what}".format(**known)
            answer = ask(place, "GET", path, questions.ANY)
            got[f"{when} {what}"] = [answer["status"], answer["body"]]
        docker = Docker()
        docker.log_in(HOST, *questions.ANY)
        image = f"{HOST}/{NAME}:oci"
        docker.forget(image)
        pull = docker.pull(image)
        got[f"{when} docker pull"] = [200 if pull.status == 0 else pull.status, pull.output]
        docker.log_in(HOST, *questions.PUSHER)
        push = play_push(HOST, "qnib/pushed", when)
        got[f"{when} docker push"] = [200 if push["status"] == 0 else 0, push["output"]]
    return got


def _digests(place: Place, published: Published) -> dict[str, str]:
    """Of the hidden image: its index, broadwell's child, and that one's layer."""
    key = f"reg.test/{HIDDEN}:latest"
    child = published.children[key]["broadwell"]
    algorithm, _, value = child.partition(":")
    blobs = place.folder / "contents/docker/registry/v2/blobs"
    manifest = json.loads((blobs / algorithm / value[:2] / value / "data").read_bytes())
    layer = manifest["layers"][0]["digest"]
    return {"index": published.indexes[key], "child": child, "layer": layer}
