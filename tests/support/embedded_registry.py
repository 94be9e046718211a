"""A small registry in this process: what tests and the demo pull from.

It keeps manifests and blobs in memory, serves them as a registry does (digest, ETag,
conditional requests, tokens if asked for), notes each request, and can be told to
misbehave for chosen paths.
"""

import hashlib
import json
import re
import ssl
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from support.token_server import TokenServer

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@dataclass(frozen=True)
class Seen:
    """A request that the registry got."""

    method: str
    path: str
    authorization: str = ""
    accept: tuple[str, ...] = ()
    user_agent: str = ""


class Handler(BaseHTTPRequestHandler):
    """Serves one connection; `server.registry` is the EmbeddedRegistry."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _handle(self) -> None:
        registry = self.server.registry
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        registry.seen.append(
            Seen(
                self.command,
                self.path,
                self.headers.get("Authorization", ""),
                tuple(self.headers.get_all("Accept") or ()),
                self.headers.get("User-Agent", ""),
            )
        )
        for fragment, fault in list(registry.faults.items()):
            if fragment in f"{self.command} {self.path}":
                fault(self)
                return
        registry.serve(self, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _handle


class Server(ThreadingHTTPServer):
    daemon_threads = True
    # Who connects while this queue is full is not heard for a second, then two, then four.
    request_queue_size = 128
    registry: "EmbeddedRegistry"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that give up are part of the tests


@dataclass
class EmbeddedRegistry:
    """Contents and behaviour. `tokens` maps a repository to the Authorization it wants.

    With an `issuer` everything wants a token of it, and is for who has one that allows it;
    `challenge_scope` is what the challenge names in place of the repository and actions.
    """

    manifests: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    faults: dict[str, Callable[[Handler], None]] = field(default_factory=dict)
    issuer: "TokenServer | None" = None
    challenge_scope: str = ""
    huge_blob: int = 0
    lists_referrers: bool = True
    seen: list[Seen] = field(default_factory=list)
    port: int = 0

    def put(self, name: str, document: dict[str, Any] | bytes, *tags: str) -> dict[str, Any]:
        """Store a manifest or index under its digest and tags; returns its descriptor."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        media_type: str = json.loads(body)["mediaType"]
        for reference in (sha256(body), *tags):
            self.manifests[(name, reference)] = (media_type, body)
        return {"mediaType": media_type, "digest": sha256(body), "size": len(body)}

    def put_image(self, name: str, text: str, media_type: str = DOCKER_MANIFEST) -> dict[str, Any]:
        """Store an image of one layer that holds a text; returns its descriptor."""
        docker = media_type == DOCKER_MANIFEST
        layer, config = text.encode(), json.dumps({"os": "linux", "rootfs": {}, "x": text}).encode()
        kinds = {
            "config": "docker.container.image.v1+json" if docker else "oci.image.config.v1+json",
            "layer": "docker.image.rootfs.diff.tar" if docker else "oci.image.layer.v1.tar",
        }

        def blob(kind: str, body: bytes) -> dict[str, Any]:
            self.blobs[sha256(body)] = body
            media = f"application/vnd.{kinds[kind]}"
            return {"mediaType": media, "digest": sha256(body), "size": len(body)}

        manifest = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": blob("config", config),
            "layers": [blob("layer", layer)],
        }
        return self.put(name, manifest)

    def put_family(
        self, name: str, tag: str, variants: Sequence[Sequence[str]], media_type: str = DOCKER_LIST
    ) -> dict[str, Any]:
        """Publish an index of linux/amd64 images, one for each list of features."""
        kind = DOCKER_MANIFEST if media_type == DOCKER_LIST else OCI_MANIFEST
        children = []
        for features in variants:
            child = self.put_image(name, ",".join(features) or "generic", kind)
            platform: dict[str, Any] = {"os": "linux", "architecture": "amd64"}
            if features:
                platform["features"] = list(features)
            children.append({**child, "platform": platform})
        return self.put(name, index_of(children, media_type), tag)

    def attach(
        self, name: str, subject: str, artifact_type: str, spec_type: str, spec: bytes, created: str
    ) -> dict[str, Any]:
        """Attach an artifact of one layer to a manifest, and list it under the fall-back tag."""
        self.blobs[sha256(spec)] = spec
        layer = {"mediaType": spec_type, "digest": sha256(spec), "size": len(spec)}
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": artifact_type,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": "", "size": 2},
            "layers": [layer],
            "annotations": {"org.opencontainers.image.created": created},
        }
        descriptor = {
            **self.put(name, manifest),
            "artifactType": artifact_type,
            "annotations": manifest["annotations"],
        }
        tag = subject.replace(":", "-")
        listed = self.manifests.get((name, tag))
        others = json.loads(listed[1])["manifests"] if listed else []
        self.put(name, index_of([*others, descriptor], OCI_INDEX), tag)
        return descriptor

    def asked(self, method: str, kind: str = "/manifests/") -> list[str]:
        """The paths asked for by a method."""
        return [seen.path for seen in self.seen if seen.method == method and kind in seen.path]

    def serve(self, handler: Handler, body: bytes) -> None:
        path = urlsplit(handler.path).path
        if self.issuer is not None and not self._may(handler, path, self.issuer):
            return None
        if path == "/v2/":
            return handler.reply(200, b"{}")
        name, kind, reference = path.removeprefix("/v2/").rsplit("/", 2)
        if "/blobs/uploads" in path:
            return self._upload(handler, body)
        wanted = self.tokens.get(name)
        if wanted is not None and handler.headers.get("Authorization") != wanted:
            error = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
            return handler.reply(401, error, {"WWW-Authenticate": 'Basic realm="embedded"'})
        if handler.command == "PUT":
            self.put(name, body, reference)
            return handler.reply(201, headers={"Docker-Content-Digest": sha256(body)})
        if kind == "referrers" and self.lists_referrers:
            listed = self.manifests.get((name, reference.replace(":", "-")))
            empty = json.dumps(index_of([], OCI_INDEX)).encode()
            headers = {"Content-Type": OCI_INDEX}
            return handler.reply(200, listed[1] if listed else empty, headers)
        if kind == "blobs":
            return self._blob(handler, reference)
        found = self.manifests.get((name, reference)) if kind == "manifests" else None
        if found is None:
            error = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'
            return handler.reply(404, error, {"Content-Type": "application/json"})
        media_type, content = found
        headers = {
            "Content-Type": media_type,
            "Docker-Content-Digest": sha256(content),
            "ETag": f'"{sha256(content)}"',
        }
        if handler.headers.get("If-None-Match") == headers["ETag"]:
            return handler.reply(304, headers=headers)
        return handler.reply(200, content, headers)

    def _may(self, handler: Handler, path: str, issuer: "TokenServer") -> bool:
        """True for a token that allows the request; else it is answered here."""
        name = re.split(r"/(?:manifests|blobs|tags|referrers)/", path.removeprefix("/v2/"))[0]
        actions = "pull" if handler.command in ("GET", "HEAD") else "pull,push"
        shown = handler.headers.get("Authorization", "")
        if issuer.allows(shown, name, actions if name else ""):
            return True
        scope = self.challenge_scope or (f"repository:{name}:{actions}" if name else "")
        challenge = f'Bearer realm="{issuer.realm}",service="{issuer.service}"'
        challenge += f',scope="{scope}"' if scope else ""
        error = b'{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}'
        handler.reply(401, error, {"WWW-Authenticate": challenge})
        return False

    def _blob(self, handler: Handler, digest: str) -> None:
        if self.huge_blob and digest.endswith("0" * 64):
            handler.send_response(200)
            handler.send_header("Content-Length", str(self.huge_blob))
            handler.end_headers()
            chunk = b"\0" * 262144
            for _ in range(self.huge_blob // len(chunk)):
                handler.wfile.write(chunk)
            return
        body = self.blobs.get(digest)
        handler.reply(404 if body is None else 200, body or b"")

    def _upload(self, handler: Handler, body: bytes) -> None:
        name = urlsplit(handler.path).path.removeprefix("/v2/").partition("/blobs/")[0]
        digest = parse_qs(urlsplit(handler.path).query).get("digest", [""])[0]
        if digest:
            self.blobs[digest] = body
            return handler.reply(201, headers={"Docker-Content-Digest": digest})
        return handler.reply(202, headers={"Location": f"/v2/{name}/blobs/uploads/{uuid.uuid4()}"})


def index_of(children: Sequence[dict[str, Any]], media_type: str = DOCKER_LIST) -> dict[str, Any]:
    """An index document of descriptors."""
    return {"schemaVersion": 2, "mediaType": media_type, "manifests": list(children)}


@contextmanager
def serving(
    registry: EmbeddedRegistry, tls: tuple[str, str] | None = None, port: int = 0
) -> Iterator[EmbeddedRegistry]:
    """Serve a registry on loopback; `tls`: its certificate's and key's files."""
    server = Server(("127.0.0.1", port), Handler)
    server.registry = registry
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    registry.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
