"""What the operator asks for, and the registries that stand for it."""

from collections.abc import Iterable
from dataclasses import dataclass

from installer.problem import Problem
from metahub_addon.registries import HTTPS_PORT, InvalidRegistry, RegistryPattern

RUNTIMES = ("docker", "containerd", "podman")
MODES = ("transparent", "proxy", "mirror")
DOCKER_HUB = "registry-1.docker.io"
# The names of images and the host that serves them differ for Docker Hub alone.
_ALIASES = dict.fromkeys(("docker.io", "index.docker.io", "www.docker.io"), DOCKER_HUB)
# Public registries of container images. Intercepting a whole port instead would break
# whatever else on the node speaks TLS and does not trust the node's own CA.
WELL_KNOWN = (
    DOCKER_HUB,
    "quay.io",
    "ghcr.io",
    "nvcr.io",
    "gcr.io",
    "*.gcr.io",
    "*.pkg.dev",
    "registry.k8s.io",
    "public.ecr.aws",
    "*.dkr.ecr.*.amazonaws.com",
    "*.dkr.ecr.*.amazonaws.com.cn",
    "*.azurecr.io",
    "mcr.microsoft.com",
    "registry.gitlab.com",
    "registry.access.redhat.com",
    "registry.redhat.io",
    "registry.suse.com",
    "registry.fedoraproject.org",
    "registry.opensuse.org",
    "container-registry.oracle.com",
    "*.ocir.io",
    "icr.io",
    "*.icr.io",
    "registry.digitalocean.com",
    "docker.elastic.co",
    "cgr.dev",
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of an installation. `runtime`: one of RUNTIMES, or auto."""

    runtime: str = "auto"
    mode: str = "transparent"
    profile: bytes | None = None
    profile_name: str = ""
    registries: tuple[str, ...] = ()


def registry_name(text: str) -> str:
    """A registry as metahub_registries names it; raises Problem if it is none."""
    try:
        pattern = RegistryPattern.parse(text)
    except InvalidRegistry as error:
        raise Problem(f"--registry {error}") from error
    host = _ALIASES.get(pattern.host, pattern.host)
    shown = f"[{host}]" if ":" in host else host
    return f"{shown}:{pattern.port}" if pattern.port else shown


def all_registries(
    wanted: Iterable[str], found: Iterable[str], left: Iterable[str]
) -> tuple[str, ...]:
    """What is intercepted: the well-known, the node's own and those asked for, each once.

    `left` are those to leave alone, and whatever would take them in: an image that is not
    optimised is better than none.
    """
    patterns = [RegistryPattern.parse(name) for name in left]
    places = [(pattern.host, pattern.port or HTTPS_PORT) for pattern in patterns]
    taken = [
        name
        for name in (*WELL_KNOWN, *found)
        if not any(RegistryPattern.parse(name).matches(*place) for place in places)
    ]
    return tuple(dict.fromkeys((*taken, *wanted)))


def is_concrete(registry: str) -> bool:
    """True if it names one host."""
    return not RegistryPattern.parse(registry).is_wildcard


def image_name(registry: str) -> str:
    """How images of a registry are named: `docker.io/…`."""
    return "docker.io" if registry == DOCKER_HUB else registry


def upstream(registry: str) -> str:
    """HOST:PORT of a registry that names one host."""
    pattern = RegistryPattern.parse(registry)
    return registry if pattern.port else f"{registry}:443"
