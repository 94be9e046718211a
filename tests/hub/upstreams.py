"""The registries behind the hubs, and what is published in them."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt
import httpx

from clients.node import NAME, layer, push_image, push_manifest
from hub.place import Place, wait_until_up
from node.runtimes import must
from support.embedded_registry import DOCKER_LIST, OCI_INDEX, index_of

OTHER_USER, OTHER_PASSWORD = "other-puller", "other-secret-55"
VARIANTS: dict[str, list[str]] = {
    "generic": [],
    "broadwell": ["cpu:broadwell"],
    "skylake": ["cpu:skylake"],
    "broadwell-nvcap": ["cpu:broadwell", "nvcap:5.2"],
}
HIDDEN = "qnib/hidden"
FLEET_TAGS = tuple(f"fleet-{number}" for number in range(50))
# Large ones are on their way when a hub is killed: their downloads are cut off.
LARGE = range(18, 25)
FLEET_BYTES, LARGE_BYTES = 128 * 1024, 16 * 1024 * 1024


@dataclass
class Published:
    """The digests of children by variant, for each `registry/name:tag`, and of indexes."""

    children: dict[str, dict[str, str]] = field(default_factory=dict)
    indexes: dict[str, str] = field(default_factory=dict)


def start_registries(place: Place, auth: dict[str, Any]) -> None:
    """One that all may read, one with a password, and one that wants `auth`.

    The first and the last show the same contents. The last is relayed by a tee.
    """
    passwords = place.folder / "htpasswd"
    hashed = bcrypt.hashpw(OTHER_PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    passwords.write_text(f"{OTHER_USER}:{hashed}\n")
    htpasswd = {"htpasswd": {"realm": "other", "path": str(passwords)}}
    for name, listener, storage, own in (
        ("registry", "192.0.2.2:443", "contents", {}),
        ("other", "192.0.2.3:443", "other-contents", htpasswd),
        ("locked-registry", "192.0.2.4:5443", "contents", auth),
    ):
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(place.folder / storage)}},
            "http": {
                "addr": listener,
                "tls": {"certificate": str(place.certificate), "key": str(place.key)},
            },
        }
        if own:
            config["auth"] = own
        file = place.folder / f"{name}.yml"
        file.write_text(json.dumps(config))
        place.start(name, "docker-registry", "serve", str(file))


def wait_for_registries(place: Place) -> None:
    """Return when all three listen."""
    listeners = {"registry": "192.0.2.2:443", "other": "192.0.2.3:443"}
    wait_until_up(place, {**listeners, "locked-registry": "192.0.2.4:5443"})


def publish_all(place: Place, published: Published) -> Published:
    """Families of images that print their variant, and the fleet's many small ones."""
    login = (OTHER_USER, OTHER_PASSWORD)
    with httpx.Client(base_url="https://other.test", auth=login, verify=str(place.ca)) as other:
        _publish_family(published, other, "other.test", "latest", prefix="other ")
        _publish_family(published, other, "other.test", "hidden", prefix="hidden ")
    with httpx.Client(base_url="https://reg.test", verify=str(place.ca)) as registry:
        _publish_family(published, registry, "reg.test", "latest")
        _publish_family(published, registry, "reg.test", "oci", oci=True)
        _publish_fleet(published, registry)
    # Its manifests are nowhere else in that registry: who gets one got it by this name.
    hidden = f"reg.test/{HIDDEN}:latest"
    source = f"docker://other.test/{NAME}:hidden"
    copy = (
        "skopeo",
        "copy",
        "--quiet",
        "--all",
        "--preserve-digests",
        "--src-creds",
        ":".join(login),
    )
    must(*copy, source, f"docker://{hidden}")
    published.children[hidden] = published.children[f"other.test/{NAME}:hidden"]
    published.indexes[hidden] = published.indexes[f"other.test/{NAME}:hidden"]
    return published


def _publish_family(
    published: Published,
    client: httpx.Client,
    registry: str,
    tag: str,
    prefix: str = "",
    oci: bool = False,
) -> None:
    busybox = Path("/bin/busybox").read_bytes()
    children, digests = [], {}
    for variant, features in VARIANTS.items():
        # The tag, so that no two tags share an image: a runtime would record either digest.
        files = {"bin/busybox": busybox, "variant": f"{prefix}{variant}\n".encode()}
        tar = layer({**files, "tag": tag.encode()})
        image = push_image(client, tar, ["/bin/busybox", "cat", "/variant"], oci)
        children.append(_child(image, features))
        digests[variant] = image["digest"]
    image = push_manifest(client, index_of(children, OCI_INDEX if oci else DOCKER_LIST), tag)
    published.children[f"{registry}/{NAME}:{tag}"] = digests
    published.indexes[f"{registry}/{NAME}:{tag}"] = image["digest"]


def _publish_fleet(published: Published, client: httpx.Client) -> None:
    """Indexes of two images; broadwell's has a layer of its own."""
    generic = push_image(client, layer({"variant": b"generic"}), ["/none"], False)
    for number, tag in enumerate(FLEET_TAGS):
        pad = os.urandom(LARGE_BYTES if number in LARGE else FLEET_BYTES)
        tar = layer({"variant": tag.encode(), "pad": pad})
        image = push_image(client, tar, ["/none"], False)
        children = [_child(generic, []), _child(image, ["cpu:broadwell"])]
        index = push_manifest(client, index_of(children), tag)
        name = f"reg.test/{NAME}:{tag}"
        published.children[name] = {"generic": generic["digest"], "broadwell": image["digest"]}
        published.indexes[name] = index["digest"]


def _child(image: dict[str, Any], features: list[str]) -> dict[str, Any]:
    system: dict[str, Any] = {"os": "linux", "architecture": "amd64"}
    return {**image, "platform": {**system, "features": features} if features else system}
