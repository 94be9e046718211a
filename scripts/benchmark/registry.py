"""The registry that everything is pulled from, and what is published in it."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import httpx

from benchmark.network import PRIVATE_PORT, REGISTRY_ADDRESS, REGISTRY_HOST
from clients.node import NAME, Node, layer, push_blob, push_image, push_manifest, wait_for
from support.certificates import make_authority
from support.embedded_registry import DOCKER_LIST, DOCKER_MANIFEST, index_of
from support.fleet import Image, publish

TAR = "application/vnd.docker.image.rootfs.diff.tar"
CONFIG = "application/vnd.docker.container.image.v1+json"
# Who may pull from the private registry; its password is the same word, by bcrypt.
USER = "bench"
HTPASSWD = f"{USER}:$2b$04$84NGzJSq/HAzzsgunrGdpOcUEFbR8l9tzcvlyRkhx/XQhno3UjGUK\n"
FEATURES: tuple[tuple[str, ...], ...] = (
    ("cpu:broadwell",),
    (),
    ("cpu:skylake",),
    ("cpu:zen4",),
    ("cpu:broadwell", "nvcap:9.0"),
)


class BenchRegistry:
    """A docker-registry on all addresses, its files on the bench's tmpfs."""

    def __init__(self, node: Node, names: list[str]) -> None:
        self.node = node
        self.storage = node.folder / "registry"
        self.ca, self.cert, self.key = make_authority(
            node.folder, REGISTRY_ADDRESS, REGISTRY_HOST, *names
        )
        config = registry_config(self.storage, ":443", self.cert, self.key)
        start_registry(node, "registry", config, self.ca)
        self.client = httpx.Client(
            base_url=f"https://{REGISTRY_HOST}",
            verify=False,  # its own registry, in its own namespace
            trust_env=False,
            timeout=120,
        )
        wait_for("docker-registry", self._answers)
        self._private = 0

    def _answers(self) -> bool:
        try:
            return self.client.get("/v2/").status_code == 200
        except httpx.HTTPError:
            return False

    def serve_privately(self) -> int:
        """Serve the same content to those with credentials only, on PRIVATE_PORT; the pid."""
        if self._private:
            return self._private
        config = registry_config(self.storage, f":{PRIVATE_PORT}", self.cert, self.key)
        users = self.node.folder / "htpasswd"
        users.write_text(HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "bench", "path": str(users)}}
        self._private = start_registry(self.node, "private", config, self.ca)
        return self._private

    def asked_privately(self) -> list[str]:
        """`METHOD path` of each request to the private registry, in order."""
        time.sleep(0.3)  # the registry logs behind the answer
        return requests_in((self.node.folder / "private.log").read_text(errors="replace"))

    def publish_layer(self, size: int) -> str:
        """A layer of bytes that can't be compressed; the path to ask for."""
        blob = push_blob(self.client, os.urandom(size), TAR)
        return f"/v2/{NAME}/blobs/{blob['digest']}"

    def publish_image(self, tag: str, layers: int, size: int) -> None:
        """An index whose first child, the right one for the bench's node, has such layers."""
        tars = [layer({f"data-{at}": os.urandom(size)}) for at in range(layers)]
        pushed = [push_blob(self.client, tar, TAR) for tar in tars]
        ids = [blob["digest"] for blob in pushed]
        config = {"os": "linux", "architecture": "amd64", "rootfs": {"type": "layers"}}
        config["rootfs"]["diff_ids"] = ids  # type: ignore[index]
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": push_blob(self.client, json.dumps(config).encode(), CONFIG),
            "layers": pushed,
        }
        child = push_manifest(self.client, document)
        push_manifest(self.client, index_of([described(child, FEATURES[0])]), tag)

    def publish_indexes(self, prefix: str, count: int, padding: int = 0) -> list[str]:
        """Indexes of the same children, no two alike; the paths of their tags."""
        children = [
            described(
                push_image(self.client, layer({"x": str(features).encode()}), ["/x"], False),
                features,
            )
            for features in FEATURES
        ]
        for at in range(count):
            note = {"at": f"{prefix}-{at}", "padding": "x" * padding}
            document = {**index_of(children, DOCKER_LIST), "annotations": note}
            push_manifest(self.client, document, f"{prefix}-{at}")
        return [f"/v2/{NAME}/manifests/{prefix}-{at}" for at in range(count)]

    def publish_fleet(self, count: int) -> list[Image]:
        """Images of a fleet, no two children alike, in as many tags of one repository."""

        def put(document: dict[str, Any], tag: str = "") -> dict[str, Any]:
            return push_manifest(self.client, document, tag)

        blobs = [push_blob(self.client, b"{}", CONFIG)]
        blobs += [push_blob(self.client, f"layer {at}".encode(), TAR) for at in range(8)]
        return [publish(put, NAME, f"fleet-{at}", blobs) for at in range(count)]

    def forget(self) -> None:
        """Free the space of all that was published."""
        shutil.rmtree(self.storage / "docker", ignore_errors=True)


def requests_in(log: str) -> list[str]:
    """`METHOD path` of each line of a docker-registry's access log."""
    lines = (line.split('"')[1] for line in log.splitlines() if '] "' in line)
    return [" ".join(line.split()[:2]) for line in lines]


def described(child: dict[str, Any], features: tuple[str, ...]) -> dict[str, Any]:
    """The descriptor of a child in an index."""
    platform: dict[str, Any] = {"os": "linux", "architecture": "amd64"}
    if features:
        platform["features"] = list(features)
    return {**child, "platform": platform}


def registry_config(storage: Path, address: str, cert: Path, key: Path) -> dict[str, Any]:
    """docker-registry's configuration, with its defaults wherever there are some."""
    return {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(storage)}},
        "http": {
            "addr": address,
            "secret": "of the bench",
            "relativeurls": True,
            "tls": {"certificate": str(cert), "key": str(key)},
        },
    }


def start_registry(node: Node, name: str, config: dict[str, Any], ca: Path) -> int:
    """Start a docker-registry; its process id."""
    file = node.folder / f"{name}.yml"
    file.write_text(json.dumps(config))
    node.start(name, ["docker-registry", "serve", str(file)], SSL_CERT_FILE=str(ca))
    return node.daemons[-1].pid
