"""A hub as it is deployed: by TLS, by its names, with client certificates and tokens behind."""

import datetime
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256 as sha
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integration.test_hub import FAMILY, NAME, RUNTIME, basic, errors, hashed, replace_file
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import Mitmdump, mitmdump
from support.through import trusting
from support.token_server import TokenServer, issuing

HUB, OTHER = "hub.test", "other.hub.test"


def client_certificate(folder: Path, name: str) -> tuple[Path, str]:
    """A certificate of its own with its key, and the fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return file, sha(made.public_bytes(serialization.Encoding.DER)).hexdigest()


@dataclass(frozen=True)
class Fleet:
    """A hub, its registries by TLS, the token issuer of one, a machine's certificate."""

    registry: EmbeddedRegistry
    other: EmbeddedRegistry
    issuer: TokenServer
    hub: Mitmdump
    folder: Path
    certificate: Path

    def ask(
        self,
        path: str,
        login: str = "qnib-type1",
        method: str = "GET",
        host: str = HUB,
        certificate: Path | None = None,
        **headers: str,
    ) -> httpx.Response:
        """Ask by TLS, by one of the hub's names; redirects are followed, as runtimes do."""
        context = trusting(self.folder / "mitmproxy-ca-cert.pem")
        if certificate:
            context.load_cert_chain(certificate)
        named = {**RUNTIME, "Host": f"{host}:{self.hub.ports[0]}"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        if login:
            named["Authorization"] = basic(login, "right")
        with httpx.Client(verify=context, trust_env=False, follow_redirects=True) as client:
            return client.request(
                method,
                f"https://127.0.0.1:{self.hub.ports[0]}{path}",
                headers=named,
                extensions={"sni_hostname": host},
            )


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("hub")
    ca, certificate, key = make_authority(folder, "127.0.0.1", "localhost")
    tls = (str(certificate), str(key))
    machine, fingerprint = client_certificate(folder, "gpu1.test")
    issuer = TokenServer(users={"puller": "upstream-secret"})
    registry, other = EmbeddedRegistry(issuer=issuer), EmbeddedRegistry()
    (folder / "password").write_text("upstream-secret\n")
    with issuing(issuer, tls=tls), serving(registry, tls), serving(other, tls):
        for one in (registry, other):
            one.put_family(NAME, "latest", FAMILY)
        file = folder / "machine-types.yaml"
        file.write_text(
            f"""user: qnib
password: "{hashed("right")}"
types:
  - {{name: type1, features: [cpu:broadwell]}}
  - {{name: type2, features: [cpu:skylake]}}
  - {{name: type4, features: [cpu:broadwell, nvcap:5.2]}}
accounts:
  - {{user: nodes, password: "{hashed("right")}", types: [type2, type4]}}
networks:
  - {{network: 192.0.2.0/24, type: type2, account: nodes}}
  - {{network: 198.51.100.0/24, type: type1}}
certificates:
  - {{fingerprint: "{fingerprint}", type: type4, account: nodes}}
trusted_proxies: [127.0.0.1/32]
upstreams:
  - url: https://localhost:{registry.port}
    username: puller
    password_file: {folder}/password
  - name: other
    url: https://localhost:{other.port}
    hosts: [{OTHER}]
"""
        )
        options = [f"metahub_machine_types={file}", f"ssl_verify_upstream_trusted_ca={ca}"]
        mode = f"reverse:https://localhost:{registry.port}"
        with mitmdump(folder, [mode], None, options) as hub:
            yield Fleet(registry, other, issuer, hub, folder, machine)


def manifest(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("X-Metahub-Machine-Type", "")


LATEST = f"/v2/{NAME}/manifests/latest"


def test_the_hub_has_a_certificate_of_its_own_name(fleet: Fleet) -> None:
    assert manifest(fleet.ask(LATEST)) == (200, "type1")
    context = trusting(fleet.folder / "mitmproxy-ca-cert.pem")
    with (
        socket.create_connection(("127.0.0.1", fleet.hub.ports[0]), 10) as connection,
        context.wrap_socket(connection, server_hostname=HUB) as secure,
    ):
        shown = secure.getpeercert()
    assert shown
    assert ("DNS", HUB) in shown["subjectAltName"]


def test_another_registry_by_the_hubs_name(fleet: Fleet) -> None:
    fleet.other.seen.clear()
    answer = fleet.ask(LATEST, "qnib-type2", host=OTHER)
    assert manifest(answer) == (200, "type2")
    layer = answer.json()["layers"][0]["digest"]
    assert fleet.ask(f"/v2/{NAME}/blobs/{layer}", host=OTHER).text == "cpu:skylake"
    assert {one.authorization for one in fleet.other.seen} == {""}
    assert fleet.other.asked("GET", "/blobs/") == [f"/v2/{NAME}/blobs/{layer}"]


def test_a_certificate_tells_account_and_type(fleet: Fleet) -> None:
    assert manifest(fleet.ask(LATEST, "", certificate=fleet.certificate)) == (200, "type4")
    # A login says more than a certificate, by the default order.
    assert manifest(fleet.ask(LATEST, "qnib-type1", certificate=fleet.certificate)) == (
        200,
        "type1",
    )
    stranger, _ = client_certificate(fleet.folder, "stranger.test")
    assert fleet.ask(LATEST, "", certificate=stranger).status_code == 401


@pytest.mark.parametrize(
    ("login", "forwarded", "expected"),
    [
        ("", "192.0.2.7", (200, "type2")),
        ("", "198.51.100.7", (401, "")),
        ("", "192.0.2.7, 203.0.113.9", (401, "")),
        ("", "203.0.113.9, 192.0.2.7", (200, "type2")),
        ("qnib", "198.51.100.7", (200, "type1")),
        ("nodes", "198.51.100.7", (403, "")),
        ("nodes-type4", "192.0.2.7", (200, "type4")),
    ],
)
def test_a_network_tells_the_type(
    fleet: Fleet, login: str, forwarded: str, expected: tuple[int, str]
) -> None:
    found = fleet.ask(LATEST, login, X_Forwarded_For=forwarded, X_Forwarded_Proto="https")
    assert manifest(found) == expected


def test_a_token_that_is_taken_back_fails_no_pull(fleet: Fleet) -> None:
    answer = fleet.ask(LATEST)
    layer = answer.json()["layers"][0]["digest"]
    for method in ("GET", "HEAD"):
        fleet.issuer.revoke()
        got = fleet.ask(f"/v2/{NAME}/blobs/{layer}", method=method)
        assert got.status_code == 200
        assert [before.status_code for before in got.history] == [307]
    fleet.issuer.revoke()
    assert fleet.ask(f"/v2/{NAME}/tags/list").status_code in (200, 404)
    fleet.issuer.revoke()
    assert manifest(fleet.ask(LATEST)) == (200, "type1")


def test_the_hubs_login_stays_the_hubs(fleet: Fleet) -> None:
    fleet.ask(LATEST)
    asked = [one for one in fleet.issuer.asked if one.status == 200]
    assert {one.user for one in asked} == {"puller"}
    assert {scope for one in asked for scope in one.scopes} == {f"repository:{NAME}:pull"}
    tokens = set(fleet.issuer.issued)
    assert not any(token in fleet.hub.log for token in tokens)
    assert "upstream-secret" not in fleet.hub.log


def test_a_token_server_that_denies(fleet: Fleet) -> None:
    fleet.issuer.users["puller"] = "changed"
    fleet.issuer.revoke()
    try:
        for path in ("/v2/qnib/new/manifests/latest", "/v2/qnib/new/tags/list"):
            denied = fleet.ask(path)
            assert denied.status_code in (403, 502)
            assert errors(denied)[0]["code"] in ("DENIED", "UNAVAILABLE")
            assert "WWW-Authenticate" not in denied.headers
            assert "upstream-secret" not in denied.text
    finally:
        fleet.issuer.users["puller"] = "upstream-secret"


def test_a_login_by_plain_http_from_elsewhere_is_refused(fleet: Fleet) -> None:
    """From this host it is taken: nobody is on the way."""
    plain = httpx.get(f"http://127.0.0.1:{fleet.hub.ports[0]}/v2/", trust_env=False)
    assert plain.status_code == 401


def test_certificates_count_from_when_they_are_in_the_file(fleet: Fleet, tmp_path: Path) -> None:
    """Also where there were none before: clients are asked for one from then on."""
    certificate, fingerprint = client_certificate(tmp_path, "late.test")
    file = fleet.folder / "machine-types.yaml"
    before = file.read_text()
    without = before[: before.index("certificates:")] + before[before.index("trusted_proxies:") :]
    rule = f'certificates: [{{fingerprint: "{fingerprint}", type: type4, account: nodes}}]\n'
    try:
        replace_file(file, without)
        assert fleet.ask(LATEST, "", certificate=certificate).status_code == 401
        replace_file(file, without + rule)
        assert fleet.ask(LATEST, "qnib-type1").status_code == 200  # takes it up
        assert manifest(fleet.ask(LATEST, "", certificate=certificate)) == (200, "type4")
    finally:
        replace_file(file, before)
