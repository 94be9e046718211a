"""Machines that log in as nobody: told by their network, or by the certificate they show."""

import datetime
import hashlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clients.node import NAME
from hub.place import Place
from hub.runtimes import Docker, Podman

# Where HAProxy's clients come from here, by what it says of them.
NETWORK = "192.0.2.13/32"
PROXIES = ("192.0.2.14/32", "192.0.2.15/32")
BY_NETWORK, BY_CERTIFICATE = "fleet.test", "one.test"
PRINTS = {BY_NETWORK: "skylake", BY_CERTIFICATE: "broadwell-nvcap"}
_CERTIFICATES = Path("/etc/docker/certs.d")  # podman reads them there, too


def make_client_certificate(place: Place) -> str:
    """Put a certificate and its key where docker and podman look; its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gpu1.test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=7))
        .sign(key, hashes.SHA256())
    )
    folder = place.folder / "client"
    folder.mkdir()
    (folder / "client.cert").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "client.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    der = certificate.public_bytes(serialization.Encoding.DER)
    return f"sha256:{hashlib.sha256(der).hexdigest()}"


def play_without_login(place: Place) -> dict[str, Any]:
    """Pull and run; where a certificate tells the type, first without it."""
    got: dict[str, Any] = {}
    runtimes = Docker(), Podman()
    image = f"{BY_CERTIFICATE}/{NAME}:latest"
    for runtime in runtimes:
        pull = runtime.pull(image)
        got[f"{runtime.name} as nobody"] = [pull.status, pull.output]
    there = _CERTIFICATES / BY_CERTIFICATE
    there.mkdir(parents=True)
    for file in (place.folder / "client").iterdir():
        (there / file.name).write_bytes(file.read_bytes())
    for host in PRINTS:
        for runtime in runtimes:
            image = f"{host}/{NAME}:latest"
            pull = runtime.pull(image)
            prints = runtime.prints(image) if pull.status == 0 else pull.output
            got[f"{runtime.name} {host}"] = prints
    return got
