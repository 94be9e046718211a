"""Across the wire, in the namespace `far`: registries, and a host that only serves layers."""

import json
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from clients.node import layer, push_image, push_manifest
from support.certificates import make_authority
from support.embedded_registry import DOCKER_LIST, OCI_INDEX, index_of, sha256

REGISTRY, REGISTRY6, OTHER_PORT = "reg.test", "reg6.test", "reg.test:5000"
CDN, LAYERS, LOCKED = "cdn.test", "layers.test", "locked.test"
HUB = "registry-1.docker.io"  # ours, by the hosts file: runtimes treat it as no other
HOSTS: Mapping[str, Sequence[str]] = {
    "192.0.2.2": ["reg.test"],
    "192.0.2.3": ["cdn.test"],
    "192.0.2.4": ["layers.test"],
    "192.0.2.5": ["registry-1.docker.io"],
    "192.0.2.6": ["locked.test"],
    "2001:db8::2": ["reg6.test"],
}
LISTENERS = {
    REGISTRY: "192.0.2.2:443",
    REGISTRY6: "[2001:db8::2]:443",
    OTHER_PORT: "192.0.2.2:5000",
    CDN: "192.0.2.3:443",
    HUB: "192.0.2.5:443",
    LOCKED: "192.0.2.6:443",
}
USER, PASSWORD = "operator", "secret"
# What `htpasswd -B` makes of them: the only kind that docker-registry takes.
PASSWORDS = f"{USER}:$2b$04$hHGz3BQ61k6.9ErgL81HaeEX/zq/td6QK8wv5wqJOQkqU.9l8Bpiu\n"
FAR = ["ip", "netns", "exec", "far"]
TAGS = {"list": False, "oci": True}
_FIELD = re.compile(r'([a-z.]+)=("(?:[^"\\]|\\.)*"|\S+)')


@dataclass(frozen=True)
class Asked:
    """A request that a registry has answered."""

    method: str
    host: str
    path: str
    status: int
    agent: str


def wait_for(what: str, ready: Callable[[], object], seconds: float = 30) -> None:
    """Return when it is ready; raises RuntimeError if it does not get so in time."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {seconds:g} s")
        time.sleep(0.1)


class Far:
    """The registries. What they hold stays in the folder, for the next boot, too."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = (folder / "ca.pem", folder / "cert.pem", folder / "key.pem")
        if not folder.exists():
            folder.mkdir()
            files = make_authority(folder, "192.0.2.2", *_names())
        self.ca, self.certificate, self._key = files
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all, and wait until they answer."""
        for address in HOSTS:
            prefix = "64 nodad" if ":" in address else "24"
            added = f"ip -n far address add {address}/{prefix} dev wire"
            subprocess.run(added.split(), check=True)
        for name, listener in LISTENERS.items():
            file = self.folder / f"{name}.yml"
            file.write_text(json.dumps(self._config(name, listener)))
            self._run(name, ["docker-registry", "serve", str(file)])
        layers = [str(Path(__file__).resolve()), str(self._storage(CDN))]
        self._run(LAYERS, [sys.executable, *layers, str(self.certificate), str(self._key)])
        for name in (*LISTENERS, LAYERS):
            wait_for(name, partial(self._answers, name))

    def _storage(self, name: str) -> Path:
        return self.folder / f"storage-{name}"

    def _config(self, name: str, listener: str) -> dict[str, Any]:
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self._storage(name))}},
            "http": {
                "addr": listener,
                "tls": {"certificate": str(self.certificate), "key": str(self._key)},
            },
        }
        if name == CDN:
            redirect = {"name": "redirect", "options": {"baseurl": f"https://{LAYERS}"}}
            config["middleware"] = {"storage": [redirect]}
        if name == LOCKED:
            passwords = self.folder / "htpasswd"
            passwords.write_text(PASSWORDS)
            config["auth"] = {"htpasswd": {"realm": name, "path": str(passwords)}}
        return config

    def _run(self, name: str, command: list[str]) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            self._processes.append(
                subprocess.Popen([*FAR, *command], stdout=log, stderr=subprocess.STDOUT)
            )

    def _answers(self, name: str) -> bool:
        url = f"https://{name}/"
        command = [*FAR, "curl", "--silent", "--cacert", str(self.ca), "--output", "-", url]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()

    def log(self, name: str) -> str:
        """What a registry or the layers' host has logged."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def asked(self, name: str) -> list[Asked]:
        """The requests that a registry has answered, in order."""
        found = []
        for line in self.log(name).splitlines():
            fields = {key: value.strip('"') for key, value in _FIELD.findall(line)}
            if "http.response.status" in fields:
                found.append(
                    Asked(
                        fields["http.request.method"],
                        fields["http.request.host"],
                        fields["http.request.uri"],
                        int(fields["http.response.status"]),
                        fields.get("http.request.useragent", ""),
                    )
                )
        return found

    def slow_down(self, rate: str) -> None:
        """Let the wire carry no more to the node than a rate (`100mbit`); empty: all."""
        change = ["add", "dev", "wire", "root", "tbf", "rate", rate] if rate else ["del"]
        options = ["burst", "256k", "latency", "200ms"] if rate else ["dev", "wire", "root"]
        subprocess.run(["tc", "-n", "far", "qdisc", *change, *options], check=True)


def _names() -> list[str]:
    return [name for names in HOSTS.values() for name in names]


def publish(name: str, tag: str, oci: bool = False, size: int = 0) -> dict[str, str]:
    """Publish an index of two images in a registry: their digests by variant, and its own.

    An image prints its variant; broadwell's layer has so many random bytes more.
    To be called before there is a redirect.
    """
    busybox = Path("/bin/busybox").read_bytes()
    children: list[dict[str, Any]] = []
    digests: dict[str, str] = {}
    with httpx.Client(
        base_url=f"https://{name}", auth=(USER, PASSWORD), verify=False, trust_env=False
    ) as client:
        for variant in ("generic", "broadwell"):
            # Random, so that no image shares its layer with another.
            pad = os.urandom(size if variant == "broadwell" and size else 16)
            files = {"bin/busybox": busybox, "variant": variant.encode(), "pad": pad}
            command = ["/bin/busybox", "cat", "/variant"]
            tar = layer(files)
            image = push_image(client, tar, command, oci)
            system: dict[str, Any] = {"os": "linux", "architecture": "amd64"}
            if variant != "generic":
                system["features"] = [f"cpu:{variant}"]
            children.append({**image, "platform": system})
            digests |= {variant: image["digest"], f"layer of {variant}": sha256(tar)}
        index = index_of(children, OCI_INDEX if oci else DOCKER_LIST)
        digests["index"] = push_manifest(client, index, tag)["digest"]
    return digests


class Layers(SimpleHTTPRequestHandler):
    """Serves a registry's storage as a CDN would: files by their path, nothing else."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.log_message("agent=%r host=%r", self.headers["User-Agent"], self.headers["Host"])
        super().do_GET()


def serve_layers(storage: str, cert: str, key: str) -> None:
    """Serve until the end."""
    server = ThreadingHTTPServer(("192.0.2.4", 443), partial(Layers, directory=storage))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.serve_forever()


if __name__ == "__main__":
    serve_layers(*sys.argv[1:])
