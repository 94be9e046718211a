"""Writes what mitmproxy trusts upstream: all that the node trusts, but not the node's own CA.

A program of its own, which each start of the service runs as root: the store and certs.d
may have changed since. The CA of one registry is trusted for all, as in a system's store.
"""

import base64
import binascii
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

TARGET = "run/metahub/trust.pem"
OWN = "etc/metahub/mitmproxy-ca-cert.pem"
# Of Debian and its like, of SUSE, of Red Hat; the first that is there.
STORES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "var/lib/ca-certificates/ca-bundle.pem",
    "etc/ssl/ca-bundle.pem",
)
FOLDERS = ("etc/docker/certs.d", "etc/containers/certs.d", "etc/containerd/certs.d")
_CERTIFICATE = re.compile(
    r"-----BEGIN (?:TRUSTED )?CERTIFICATE-----(.*?)-----END (?:TRUSTED )?CERTIFICATE-----",
    re.DOTALL,
)


def certificates(text: str) -> Iterator[bytes]:
    """The certificates in a text, DER; what is damaged is left out."""
    for body in _CERTIFICATE.findall(text):
        try:
            yield base64.b64decode("".join(body.split()), validate=True)
        except binascii.Error:
            continue


def pem(certificate: bytes) -> str:
    """A certificate as text."""
    text = base64.b64encode(certificate).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN CERTIFICATE-----\n{lines}\n-----END CERTIFICATE-----\n"


def bundle(texts: Iterable[str], own: str) -> str:
    """All certificates of some texts, each once, without those in `own`."""
    left_out = set(certificates(own))
    found = dict.fromkeys(certificate for text in texts for certificate in certificates(text))
    return "".join(pem(certificate) for certificate in found if certificate not in left_out)


def trusted(root: Path) -> Iterator[Path]:
    """The files whose certificates a node's runtimes trust."""
    yield from [root / store for store in STORES if (root / store).is_file()][:1]
    for base in FOLDERS:
        yield from sorted((root / base).glob("*/*.crt"))
        for hosts in sorted((root / base).glob("*/hosts.toml")):
            # containerd's may lie anywhere; relative ones beside it.
            for name in authorities(hosts.read_text(errors="replace")):
                yield root / name.lstrip("/") if name.startswith("/") else hosts.parent / name


def authorities(hosts: str) -> list[str]:
    """The files that a hosts.toml names as `ca`; none if it is damaged."""
    try:
        document = tomllib.loads(hosts)
    except tomllib.TOMLDecodeError:
        return []
    inner = document.get("host")
    tables = [document, *(inner.values() if isinstance(inner, dict) else ())]
    values = [table.get("ca") for table in tables if isinstance(table, dict)]
    names = [name for value in values for name in (value if isinstance(value, list) else [value])]
    return [name for name in names if isinstance(name, str)]


def build(root: Path) -> None:
    """Write the bundle of a node, as a whole."""
    texts = [path.read_text(errors="replace") for path in trusted(root) if path.is_file()]
    own = root / OWN
    text = bundle(texts, own.read_text() if own.exists() else "")
    target = root / TARGET
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    # The folder is the proxy's: root must not write where a link of its leads.
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        os.fchmod(file.fileno(), 0o644)
    os.replace(new, target)


if __name__ == "__main__":
    try:
        build(Path("/"))
    except OSError as error:
        sys.exit(f"metahub: {error.filename}: {error.strerror}")
