"""The node's own CA among those that the system trusts."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

from installer.distro import Distro
from installer.layout import CA_CERTIFICATE
from installer.node import Node
from installer.states import write_whole
from installer.trust_bundle import certificates, pem


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The node's own CA among those that the system trusts."""

    distro: Distro
    kind: ClassVar[str] = "trust"

    @property
    def anchor(self) -> PurePosixPath:
        """The file that the store is built from."""
        return PurePosixPath(self.distro.anchors) / f"metahub-node-ca{self.distro.suffix}"

    @property
    def key(self) -> str:
        """Names what undoes it, too."""
        return f"trust:{self.anchor}"

    @property
    def touched(self) -> tuple[str, ...]:
        """The anchor, and all that the command writes."""
        return (str(self.anchor), *self.distro.stores)

    def is_done(self, node: Node) -> bool:
        """True if the anchor is this CA's, and the store has it."""
        own = node.read(CA_CERTIFICATE)
        if not own or node.read(self.anchor) != own:
            return False
        return set(certificates(own)) <= set(certificates(node.read(self.distro.bundle)))

    def apply(self, node: Node) -> None:
        """Put the anchor there and build the store; what was in it stays in it."""
        kept = list(certificates(node.read(self.distro.bundle)))
        anchor = node.path(self.anchor)
        write_whole(anchor, node.path(CA_CERTIFICATE).read_bytes(), 0o644)
        update(node, self.distro, kept)

    def __str__(self) -> str:
        command = " ".join(self.distro.update)
        return f"{self.anchor}: the node's own CA, for all programs ({command})"


def update(node: Node, distro: Distro, kept: Iterable[bytes]) -> None:
    """Build the store anew; of what was in its bundle, `kept` stays in it."""
    with tempfile.TemporaryDirectory(prefix="metahub-") as folder:
        node.must(*distro.update, TMPDIR=folder)
    built = node.read(distro.bundle)
    known = set(certificates(built))
    lost = [certificate for certificate in dict.fromkeys(kept) if certificate not in known]
    if lost:
        # Someone has put them into the bundle itself, of which the command knows nothing.
        whole = built + "".join(map(pem, lost))
        content = whole.encode("utf-8", "surrogateescape")
        write_whole(node.path(distro.bundle), content, 0o644)
