"""Tell the clients that must see the whole index by their User-Agent.

Tools that copy, sign or inspect images lose all variants but one if they are given
a child. Container runtimes, and clients nobody has named, get the child.
"""

import re
from collections.abc import Sequence

UNTOUCHED_CLIENTS: tuple[str, ...] = (
    "skopeo/",
    "Docker-Client/",
    "Buildah/",
    "buildkit/",
    "buildx/",
    "cosign/",
    "crane/",
    "go-containerregistry/",
    "regclient/",
    "regctl",
    "regsync",
    "regbot",
    "oras",
    "notation",
    "manifest-tool/",
    "Helm/",
    "trivy/",
    "syft/",
    "grype/",
)

# Measured: these follow a redirect from TLS to plain HTTP on loopback (all are Go programs).
RELAYED_CLIENTS: tuple[str, ...] = (
    "docker/",
    "Docker-Client/",
    "containerd/",
    "containers/",
    "cri-o/",
    "skopeo/",
    "Buildah/",
)

# Those that run in the network of whoever calls them, root or not.
PULLING_AS_USER: tuple[str, ...] = ("containers/", "skopeo/", "Buildah/", "Docker-Client/")

_QUOTED = re.compile(r"\\.")
_COMMENT = re.compile(r"\([^()]*\)")


def is_named(user_agent: str, patterns: Sequence[str]) -> bool:
    """True if a product of the User-Agent (RFC 9110, 10.1.5) starts with a pattern.

    Comments do not count: dockerd names the CLI that asked it, `Docker-Client/…`, in
    one. Letter case does not matter.
    """
    bare = _QUOTED.sub("", user_agent[:1024])
    while (shorter := _COMMENT.sub(" ", bare)) != bare:
        bare = shorter
    prefixes = tuple(pattern.lower() for pattern in patterns if pattern)
    return any(product.startswith(prefixes) for product in bare.lower().split())
