"""The files that an installation writes, as text."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from installer.layout import (
    ACCOUNT,
    CA_CERTIFICATE,
    FIREWALL_PORT,
    LAYERS_PORT,
    MIRROR_PORT,
    PROFILE,
    PROXY_PORT,
    RELAY_PORT,
    TRANSPARENT_PORT,
    UPSTREAM_TRUST,
)
from installer.problem import Problem
from installer.wanted import DOCKER_HUB, image_name, is_concrete, upstream
from metahub_addon.registries import InvalidRegistry, layers_ports, parse_registries

_TEMPLATES = Path(__file__).resolve().parent.parent
_HEARTBEAT = (
    f'meta skgid {ACCOUNT} oifname "lo" ip daddr 127.0.0.1 udp sport {FIREWALL_PORT} '
    "update @alive { udp dport } drop"
)
_WRITTEN = "# Written by metahub's installer."


@dataclass(frozen=True, slots=True)
class Ways:
    """How pulls reach the proxy: the mode, the registries, and a listener for each mirror."""

    mode: str
    registries: tuple[str, ...]
    ipv6: bool
    mirrors: tuple[str, ...] = ()

    @property
    def layers(self) -> dict[int, int]:
        """For each port of registries its layers port; empty where no firewall helps."""
        if self.mode == "mirror":
            return {}
        try:
            return layers_ports(LAYERS_PORT, parse_registries(self.registries).ports)
        except InvalidRegistry as error:
            raise Problem(f"--registry: {error}") from error

    @property
    def listeners(self) -> tuple[str, ...]:
        """mitmproxy's modes."""
        if self.mode == "transparent":
            hosts = ("127.0.0.1", "::1") if self.ipv6 else ("127.0.0.1",)
            return tuple(f"transparent@{host}:{TRANSPARENT_PORT}" for host in hosts)
        if self.mode == "proxy":
            return (f"regular@127.0.0.1:{PROXY_PORT}",)
        ports = self.mirror_ports
        return tuple(f"reverse:https://{upstream(r)}@127.0.0.1:{ports[r]}" for r in ports)

    @property
    def mirror_ports(self) -> dict[str, int]:
        """For each registry that has a mirror the mirror's port; Docker Hub's is the first."""
        named = dict.fromkeys((DOCKER_HUB, *self.mirrors))
        return {registry: MIRROR_PORT + at for at, registry in enumerate(named)}

    @property
    def taken(self) -> tuple[int, ...]:
        """The TCP ports that nobody else may listen on."""
        fixed = {"transparent": (TRANSPARENT_PORT,), "proxy": (PROXY_PORT,)}
        listening = fixed.get(self.mode) or tuple(self.mirror_ports.values())
        return *listening, RELAY_PORT, *self.layers.values()


def template(name: str, **values: str) -> str:
    """A template beside this package with @NAMES@ filled in, in the indentation they have."""
    text = (_TEMPLATES / name).read_text()
    for key, value in values.items():
        lines = re.compile(rf"^( *)@{key}@$", re.MULTILINE)
        text = lines.sub(lambda at, v=value: _indented(v, at[1]), text)  # type: ignore[misc]
        text = text.replace(f"@{key}@", value)
    left = re.search(r"@[A-Z_]+@", text)
    assert left is None, f"{name}: {left} has no value"
    return text


def _indented(text: str, indentation: str) -> str:
    return "\n".join(indentation + line for line in text.splitlines())


def config_text(ways: Ways) -> str:
    """mitmproxy's options, the addon's among them. JSON's lists and strings are YAML's, too."""
    options = {
        "mode": list(ways.listeners),
        "metahub_profile": str(PROFILE),
        "metahub_registries": list(ways.registries),
        "metahub_layers_port": LAYERS_PORT if ways.layers else 0,
        "metahub_relay_port": RELAY_PORT,
        "metahub_firewall_port": FIREWALL_PORT if ways.mode == "transparent" else 0,
        "ssl_verify_upstream_trusted_ca": str(UPSTREAM_TRUST),
        # Listening on loopback only; the clients' own address may well be a public one.
        "block_global": False,
        # What has nothing to do is taken out of each request's way.
        "metahub_lean": True,
        "onboarding": False,
        "flow_detail": 0,
    }
    lines = [f"{key}: {_yaml(value)}" for key, value in options.items()]
    return "\n".join([f"{_WRITTEN} mitmproxy's and metahub's options.", *lines]) + "\n"


def _yaml(value: object) -> str:
    if isinstance(value, list):
        return "".join(f"\n  - {json.dumps(item)}" for item in value) or "[]"
    return json.dumps(value)


def table_text(ways: Ways, group: str = ACCOUNT) -> str:
    """The nftables table. `group` may be a number, to try it before the group is there."""
    layers = "\n".join(f"tcp dport {at} dnat to :{port}" for port, at in ways.layers.items())
    replies = "\n".join(
        f"tcp sport {port} ct direction reply ct original proto-dst {at} tcp sport set {at}"
        for port, at in ways.layers.items()
    )
    if ways.mode == "proxy":
        return template("nftables/proxy.nft", LAYERS=layers, REPLIES=replies)
    families = [("ipv4", "ip", "127.0.0.0/8", 4), ("ipv6", "ip6", "::1", 6)]
    redirects = "\n".join(
        f"meta nfproto {family} tcp dport @alive {header} daddr != {loopback} "
        f"{header} daddr != @direct{number} redirect to :{TRANSPARENT_PORT}"
        for family, header, loopback, number in families[: 2 if ways.ipv6 else 1]
    )
    return template(
        "nftables/transparent.nft",
        HEARTBEAT=_HEARTBEAT.replace(ACCOUNT, group),
        GROUP=group,
        FIREWALL_PORT=str(FIREWALL_PORT),
        ZONE=str(TRANSPARENT_PORT),
        LAYERS=layers,
        REPLIES=replies,
        REDIRECTS=redirects,
    )


def heartbeat_text() -> str:
    """The commands that let the proxy's heartbeats count."""
    return template("nftables/heartbeat.nft", HEARTBEAT=_HEARTBEAT)


def no_proxy(ways: Ways) -> str:
    """What goes past an explicit proxy: this node, and the layers of registries."""
    hosts = ["localhost", "127.0.0.1", "::1"]
    by_port = ways.layers
    for registry in filter(is_concrete, ways.registries):
        host, _, port = upstream(registry).rpartition(":")
        hosts.append(f"{host}:{by_port[int(port)]}")
    return ",".join(hosts)


def engine_text(ways: Ways) -> str:
    """podman's drop-in for an explicit proxy, which its containers must not inherit."""
    proxy = f"HTTPS_PROXY=http://127.0.0.1:{PROXY_PORT}"
    variables = json.dumps([proxy, f"NO_PROXY={no_proxy(ways)}"])
    return f"{_WRITTEN}\n[containers]\nhttp_proxy = false\n\n[engine]\nenv = {variables}\n"


def hosts_text() -> str:
    """containerd's default mirror; without a `server` the registry itself comes behind it."""
    return (
        f'{_WRITTEN}\n[host."https://127.0.0.1:{MIRROR_PORT}"]\n'
        f'  capabilities = ["pull", "resolve"]\n  ca = "{CA_CERTIFICATE}"\n'
    )


def mirrors_text(ways: Ways, registries: Sequence[str]) -> str:
    """podman's mirrors: tags through the proxy, everything by digest straight."""
    parts = [_WRITTEN]
    for registry in registries:
        name = image_name(registry)
        parts.append(
            f'\n[[registry]]\nprefix = "{name}"\nlocation = "{name}"\n\n'
            f'[[registry.mirror]]\nlocation = "127.0.0.1:{ways.mirror_ports[registry]}"\n'
            'pull-from-mirror = "tag-only"'
        )
    return "\n".join(parts) + "\n"
