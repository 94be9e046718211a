"""What sends a runtime to the proxy by its own configuration: modes proxy and mirror."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from installer.edits import has_no_cri, hosts_folder, with_docker_mirror, with_hosts_folder
from installer.facts import Facts
from installer.items import File, Item
from installer.layout import (
    CA_CERTIFICATE,
    CONTAINERD_CERTS,
    CONTAINERD_CONFIG,
    DOCKER_CONFIG,
    MIRROR_PORT,
    PODMAN_ENGINE,
    PODMAN_REGISTRIES,
    PROXY_PORT,
    UNITS,
)
from installer.problem import Problem
from installer.texts import Ways, engine_text, hosts_text, mirrors_text, no_proxy, template
from installer.wanted import image_name, is_concrete

_MIRROR = f"https://127.0.0.1:{MIRROR_PORT}"


def proxy_items(
    ways: Ways, runtimes: tuple[str, ...], facts: Facts, hints: list[str]
) -> Iterator[Item]:
    """What proxy mode needs; appends to `hints`. Raises Problem."""
    if facts.proxies:
        raise Problem(
            f"{facts.proxies[0]}: sends pulls through another proxy already: "
            "take --mode transparent or mirror"
        )
    hints.append(
        "in proxy mode pulls fail while metahub.service is stopped; "
        "with --mode transparent or mirror they go on without it"
    )
    values = {"PROXY_PORT": str(PROXY_PORT), "NO_PROXY": no_proxy(ways)}
    text = template("systemd/runtime-proxy.conf", **values)
    for runtime in runtimes:
        if runtime != "podman":
            yield File(drop_in(runtime), text.encode())
        elif facts.engine_environment:
            hints.append(
                "podman's containers.conf sets env already: add HTTPS_PROXY to it yourself"
            )
        else:
            yield File(PODMAN_ENGINE, engine_text(ways).encode())


def drop_in(runtime: str) -> PurePosixPath:
    """Where a runtime's unit is told of the proxy."""
    return UNITS / f"{runtime}.service.d" / "metahub.conf"


def mirrored(registries: tuple[str, ...], facts: Facts) -> tuple[str, ...]:
    """The registries that podman gets mirrors for: not those whose entry is the user's."""
    named = filter(is_concrete, registries)
    return tuple(name for name in named if image_name(name) not in facts.found.configured)


def mirror_items(
    ways: Ways, runtimes: tuple[str, ...], facts: Facts, hints: list[str]
) -> Iterator[Item]:
    """What mirror mode needs; appends to `hints`. Raises Problem."""
    if "docker" in runtimes:
        yield from _docker_mirror(facts)
        hints.append("docker takes mirrors for docker.io alone: other registries are not optimised")
    if "podman" in runtimes:
        yield File(PODMAN_REGISTRIES, mirrors_text(ways, ways.mirrors).encode())
        taken = set(filter(is_concrete, ways.registries)) - set(ways.mirrors)
        for name in sorted(map(image_name, taken)):
            hints.append(f"podman has a [[registry]] of your own for {name}: add the mirror there")
    if "containerd" in runtimes:
        yield from _containerd_mirror(facts, hints)


def _docker_mirror(facts: Facts) -> Iterator[Item]:
    if "--registry-mirror" in facts.docker_flags:
        raise Problem(
            "docker.service: has --registry-mirror as a flag, which daemon.json must not repeat: "
            f"add {_MIRROR} there, or take --mode transparent"
        )
    edit = with_docker_mirror(facts.docker_config, _MIRROR)
    yield File(DOCKER_CONFIG, edit.text.encode(), added=edit.added)


def _containerd_mirror(facts: Facts, hints: list[str]) -> Iterator[Item]:
    text = facts.containerd_config
    if has_no_cri(text):
        hints.append(
            f"containerd's CRI plugin is disabled; ctr pulls through the mirror with "
            f"--hosts-dir {CONTAINERD_CERTS}"
        )
    folder = hosts_folder(text)
    for name in facts.hosts:
        hints.append(
            f"{folder or CONTAINERD_CERTS}/{name}/hosts.toml is yours: "
            f"add {_MIRROR} to it (capabilities pull and resolve, ca {CA_CERTIFICATE})"
        )
    if "_default" in facts.hosts:
        return
    yield File((folder or CONTAINERD_CERTS) / "_default" / "hosts.toml", hosts_text().encode())
    if folder is None and not has_no_cri(text):
        try:
            edit = with_hosts_folder(text, facts.containerd_major)
        except Problem as problem:
            hints.append(str(problem))
        else:
            encoded = edit.text.encode("utf-8", "surrogateescape")
            yield File(CONTAINERD_CONFIG, encoded, added=edit.added)
