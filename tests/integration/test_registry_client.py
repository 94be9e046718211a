"""The hub's client at a real registry (docker-registry) with real tokens; needs no root."""

import base64
import json
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from metahub_addon.credentials import Credentials
from metahub_addon.registry_client import RegistryClient
from metahub_addon.tls_settings import TlsSettings
from metahub_addon.upstream import Registry, Repository
from support import token_server
from support.certificates import make_authority
from support.embedded_registry import OCI_MANIFEST, sha256
from support.mitmdump import free_port
from support.token_server import TokenServer, issuing

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(
        shutil.which("docker-registry") is None, reason="the command docker-registry is missing"
    ),
]
CONFIG = """version: 0.1
storage: {{filesystem: {{rootdirectory: {folder}/data}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth:
  token: {{realm: "{issuer.realm}", service: {issuer.service}, issuer: {issuer.issuer},
          rootcertbundle: {folder}/bundle.pem}}
"""


@dataclass(frozen=True)
class Source:
    """The same credentials for every registry."""

    credentials: Credentials | None = None

    async def credentials_for(self, registry: Registry) -> Credentials | None:
        return self.credentials


@pytest.fixture
def issuer() -> Iterator[TokenServer]:
    grants = {"pusher": {"*": "pull,push"}, "puller": {"a/*": "pull"}}
    users = {"pusher": "push-secret", "puller": "pull-secret"}
    with issuing(TokenServer(users=users, grants=grants, identities={"pusher": "id"})) as issuer:
        yield issuer


@pytest.fixture
def place(tmp_path: Path, issuer: TokenServer) -> Iterator[Registry]:
    port = free_port()
    (tmp_path / "bundle.pem").write_bytes(issuer.signer.certificate)
    (tmp_path / "registry.yaml").write_text(
        CONFIG.format(folder=tmp_path, port=port, issuer=issuer)
    )
    with running(tmp_path, port):
        yield Registry(scheme="http", host="127.0.0.1", port=port, authority=f"127.0.0.1:{port}")


@contextmanager
def running(folder: Path, port: int) -> Iterator[None]:
    command = ["docker-registry", "serve", str(folder / "registry.yaml")]
    with (folder / "registry.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 30
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/v2/", trust_env=False)
                break
            except httpx.ConnectError:
                assert process.poll() is None, (folder / "registry.log").read_text()
                assert time.monotonic() < end
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def client_of(user: str = "", password: str = "", identity: str = "") -> RegistryClient:
    credentials = Credentials(username=user, password=password, identity_token=identity)
    return RegistryClient(TlsSettings(), 10, Source(credentials if user or identity else None))


async def push(place: Registry, name: str, client: RegistryClient) -> str:
    """Push an image as a hub's client does: somebody else carries what we authorise."""
    config = b"{}"
    base = f"http://{place.authority}/v2/{name}"
    authorization = await client.authorization(place, name, "pull,push")
    async with httpx.AsyncClient(
        headers={"Authorization": authorization}, trust_env=False
    ) as carrier:
        started = await carrier.post(f"{base}/blobs/uploads/")
        assert started.status_code == 202, started.text
        url = httpx.URL(started.headers["Location"]).copy_add_param("digest", sha256(config))
        assert (await carrier.put(url, content=config)).status_code == 201
        descriptor = {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": sha256(config),
            "size": len(config),
        }
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor,
                "layers": [],
            }
        ).encode()
        put = await carrier.put(
            f"{base}/manifests/latest", content=manifest, headers={"Content-Type": OCI_MANIFEST}
        )
        assert put.status_code == 201, put.text
    return sha256(manifest)


async def test_push_and_pull(place: Registry, issuer: TokenServer) -> None:
    pusher = client_of("pusher", "push-secret")
    puller, nobody = client_of("puller", "pull-secret"), client_of()
    try:
        digest = await push(place, "a/b", pusher)
        await push(place, "secret/b", pusher)
        own = Repository(registry=place, name="a/b")
        head = await puller.request(own, "HEAD", "manifests/latest", accept=OCI_MANIFEST)
        assert (head.status, head.headers["docker-content-digest"]) == (200, digest)
        assert (await puller.get(own, digest, OCI_MANIFEST))[0] == OCI_MANIFEST
        others = Repository(registry=place, name="secret/b")
        assert (await puller.request(others, "GET", "manifests/latest")).status == 401
        assert (await nobody.request(own, "GET", "manifests/latest")).status == 401
        tags = await puller.request(own, "GET", "tags/list?n=10")
        assert json.loads(tags.body) == {"name": "a/b", "tags": ["latest"]}
    finally:
        for client in (pusher, puller, nobody):
            await client.aclose()
    assert {asked.user for asked in issuer.asked} == {"pusher", "puller", ""}


def test_the_issuer_as_a_process(tmp_path: Path) -> None:
    """As other tests start it, in a namespace of theirs."""
    ca, certificate, key = make_authority(tmp_path, "127.0.0.1")
    config = {
        "address": "127.0.0.1",
        "users": {"ann": "pw"},
        "grants": {"ann": {"a/*": "pull"}},
        "service": "s",
        "seconds": 7,
        "certificate": str(certificate),
        "key": str(key),
        "bundle": str(tmp_path / "bundle.pem"),
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [sys.executable, token_server.__file__, str(tmp_path / "config.json")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            assert "CERTIFICATE" in (tmp_path / "bundle.pem").read_text()
            asked = f"{url}/token?service=s&scope=repository:a/b:pull,push"
            tls = ssl.create_default_context(cafile=ca)
            with httpx.Client(verify=tls, trust_env=False) as client:
                answer = client.get(asked, auth=("ann", "pw")).json()
                assert client.get(asked, auth=("ann", "wrong")).status_code == 401
        finally:
            process.terminate()
    assert process.returncode == 0
    claims = answer["token"].split(".")[1]
    access = json.loads(base64.urlsafe_b64decode(claims + "=="))["access"]
    assert access == [{"type": "repository", "name": "a/b", "actions": ["pull"]}]
    assert answer["expires_in"] == 7


async def test_identity_token(place: Registry, issuer: TokenServer) -> None:
    client = client_of(identity="id")
    try:
        assert await push(place, "a/b", client)
    finally:
        await client.aclose()
    assert [(asked.method, asked.grant) for asked in issuer.asked] == [("POST", "refresh_token")]
