"""Where a distribution keeps the certificates it trusts, and what builds the store."""

import re
from dataclasses import dataclass

from installer.problem import Problem


@dataclass(frozen=True, slots=True)
class Distro:
    """A family of distributions. `stores`: what the command writes, links included."""

    name: str
    anchors: str
    suffix: str
    update: tuple[str, ...]
    bundle: str
    stores: tuple[str, ...]
    venv_package: str


DEBIAN = Distro(
    "Debian",
    "/usr/local/share/ca-certificates",
    ".crt",
    # Without the hooks of other stores: Java's runs dpkg, which writes and waits for locks.
    ("update-ca-certificates", "--hooksdir", "/nonexistent"),
    "/etc/ssl/certs/ca-certificates.crt",
    ("/etc/ssl/certs",),
    "apt-get install python3-venv",
)
RED_HAT = Distro(
    "Red Hat",
    "/etc/pki/ca-trust/source/anchors",
    ".pem",
    ("update-ca-trust", "extract"),
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    ("/etc/pki/ca-trust/extracted",),
    "dnf install python3.11",
)
SUSE = Distro(
    "SUSE",
    "/etc/pki/trust/anchors",
    ".pem",
    ("update-ca-certificates",),
    "/var/lib/ca-certificates/ca-bundle.pem",
    ("/var/lib/ca-certificates", "/etc/ssl/certs"),
    "zypper install python311",
)
DISTROS = (DEBIAN, RED_HAT, SUSE)
_FAMILIES = {
    **dict.fromkeys(("debian", "ubuntu"), DEBIAN),
    **dict.fromkeys(("rhel", "fedora", "centos", "rocky", "almalinux", "ol", "amzn"), RED_HAT),
    **dict.fromkeys(("suse", "opensuse", "sles", "opensuse-leap", "opensuse-tumbleweed"), SUSE),
}
_LINE = re.compile(r"""^(ID|ID_LIKE|PRETTY_NAME)=["']?(.*?)["']?\s*$""", re.MULTILINE)


def find_distro(os_release: str) -> Distro:
    """The family that os-release names; raises Problem for one that is not known."""
    fields: dict[str, str] = dict(_LINE.findall(os_release))
    for name in f"{fields.get('ID', '')} {fields.get('ID_LIKE', '')}".lower().split():
        if name in _FAMILIES:
            return _FAMILIES[name]
    shown = fields.get("PRETTY_NAME") or fields.get("ID") or "no os-release"
    raise Problem(
        f"/etc/os-release: {shown}: not one of Debian, Ubuntu, RHEL and SUSE, nor like them"
    )
