"""The hubs: their files, and mitmdump with the addon for each."""

import json
import os
from collections.abc import Mapping

from hub.place import Daemon, Place
from hub.upstreams import OTHER_PASSWORD, OTHER_USER
from hub.without_login import NETWORK, PROXIES, make_client_certificate
from support.mitmdump import command_line

TYPES = """types:
  - name: type1
    features: [cpu:broadwell]
  - name: type2
    features: [cpu:skylake]
  - name: type4
    features: [cpu:broadwell, nvcap:5.2]
"""
# MetaHub's own file, as its users have it: these three keys, the password in the clear.
META_PASSWORD = "meta-secret-41"
META_FILE = f"# MetaHub's file.\nuser: qnib\npassword: {META_PASSWORD}  # ours\n{TYPES}"
ANY_PASSWORD, LIMITED_PASSWORD, PUSHER_PASSWORD = (
    f"{account}-secret-{number}" for number, account in enumerate(("any", "limited", "pusher"))
)
HELPER_USER, HELPER_PASSWORD = "hub-puller", "hub-secret-77"
GUARDED_FILE = """user: qnib
password: {any}
{types}
accounts:
  - {{user: limited, password: {limited}, types: [type1], type: type1, pull: [qnib/bench]}}
  - user: pusher
    password: {pusher}
    type: type1
    pull: [qnib/pushed]
    push: [qnib/pushed]
upstreams:
  - {{name: locked, url: "https://locked.test", docker_config: "{folder}/hub-docker.json"}}
  - name: other
    url: https://other.test
    prefix: other
    username: {other_user}
    password_file: {folder}/other-password
"""


FLEET_FILE = """{meta}networks:
  - {{network: {network}, type: type2, account: qnib}}
certificates:
  - {{fingerprint: "{fingerprint}", type: type4, account: qnib}}
trusted_proxies: [{proxies}]
"""
HUBS: Mapping[str, str] = {
    "hub": "192.0.2.10:443",
    "meta": "192.0.2.11:443",
    "guarded": "192.0.2.12:5443",
    "one": "192.0.2.14:443",
    "two": "192.0.2.15:443",
}


def write_hub_files(place: Place) -> None:
    """The hubs' machine types, and what the guarded one needs for its registries."""
    folder = place.folder
    (folder / "meta.yaml").write_text(META_FILE)
    (folder / "fleet.yaml").write_text(
        FLEET_FILE.format(
            meta=META_FILE,
            network=NETWORK,
            fingerprint=make_client_certificate(place),
            proxies=", ".join(PROXIES),
        )
    )
    (folder / "guarded.yaml").write_text(
        GUARDED_FILE.format(
            any=ANY_PASSWORD,
            limited=LIMITED_PASSWORD,
            pusher=PUSHER_PASSWORD,
            types=TYPES,
            folder=folder,
            other_user=OTHER_USER,
        )
    )
    (folder / "other-password").write_text(f"{OTHER_PASSWORD}\n")
    # The way of docker-credential-helpers: the server's name comes in, JSON goes out.
    helper = folder / "bin/docker-credential-test"
    helper.parent.mkdir()
    answer = json.dumps({"ServerURL": "", "Username": HELPER_USER, "Secret": HELPER_PASSWORD})
    helper.write_text(f"#!/bin/sh\ngrep -q locked.test || exit 1\necho '{answer}'\n")
    helper.chmod(0o755)
    config = {"credHelpers": {"locked.test": "test"}}
    (folder / "hub-docker.json").write_text(json.dumps(config))


def start_hub(place: Place, name: str, listener: str) -> Daemon:
    """Start a hub. `hub` has MetaHub's static types, `guarded` the registries with logins."""
    confdir = place.folder / f"mitmproxy-{name}"
    confdir.mkdir()
    upstream = "locked.test" if name == "guarded" else "reg.test"
    # What mitmdump itself prints by default must hold no secret either.
    command = [word.replace("flow_detail=0", "flow_detail=1") for word in command_line(confdir)]
    command += ["--mode", f"reverse:https://{upstream}@{listener}"]
    environment = {"PATH": f"{place.folder}/bin:{os.environ['PATH']}"}
    options = [f"certs=*={place.pem}", f"ssl_verify_upstream_trusted_ca={place.ca}"]
    if name == "hub":
        environment["STATIC_MACHINES"] = "true"
    else:
        file = name if name in ("guarded", "meta") else "fleet"
        options.append(f"metahub_machine_types={place.folder}/{file}.yaml")
    if name in ("one", "two"):
        address = listener.partition(":")[0]
        options += [f"metahub_web={address}:8443", f"metahub_web_certificate={place.pem}"]
    for option in options:
        command += ["--set", option]
    return place.start(name, *command, **environment)


def file_before_and_after(place: Place) -> dict[str, str]:
    """What has become of MetaHub's file since the hubs read it."""
    return {"before": META_FILE, "after": (place.folder / "meta.yaml").read_text()}
