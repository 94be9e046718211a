"""The bench's own network: an address for each route, and the firewall's rules.

All of it lives in a network namespace of the bench and ends with it. Each proxied route
has a name and an address of its own, at all of which the one registry listens: which way
a client goes is decided by the name it asks, as on a node by the firewall.
"""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GROUP = 60001
REGISTRY_HOST, REGISTRY_ADDRESS = "reg.test", "192.0.2.2"
PRIVATE_PORT = 5000  # of the registry that wants credentials
OWN_ZONE = 18082
LAYERS_PORT, FIREWALL_PORT, RELAY_PORT = 17443, 18083, 18084


@dataclass(frozen=True, slots=True)
class Redirected:
    """A name whose connections the firewall sends into a proxy's port."""

    host: str
    address: str
    port: int


def set_up(folder: Path, redirected: Sequence[Redirected]) -> None:
    """Addresses, names and rules; needs namespaces of its own."""
    named = [(REGISTRY_ADDRESS, REGISTRY_HOST), *((to.address, to.host) for to in redirected)]
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    for at in ("/etc", "/var"):  # where dockerd and nginx leave something, whatever they are told
        cover(folder, at)
    run("ip", "link", "set", "lo", "up")
    for address, _ in named:
        run("ip", "address", "add", f"{address}/32", "dev", "lo")
    names = "".join(f"{address} {name}\n" for address, name in named)
    Path("/etc/hosts").write_text(f"127.0.0.1 localhost\n{names}")
    rules = folder / "rules.nft"
    rules.write_text(firewall(redirected))
    run("nft", "-f", str(rules))


def cover(folder: Path, directory: str) -> None:
    """Let whatever is written below a directory of this machine go to the bench's folder."""
    upper, work = (folder / f"{kind}{directory.replace('/', '-')}" for kind in ("upper", "work"))
    upper.mkdir()
    work.mkdir()
    layers = f"lowerdir={directory},upperdir={upper},workdir={work}"
    run("mount", "-t", "overlay", "overlay", "-o", layers, directory)


def firewall(redirected: Sequence[Redirected]) -> str:
    """What scripts/install loads on a node, as far as the bench needs it, in nft's language.

    One thing differs: the redirect goes by address, because several proxies run at once.
    """
    redirects = "\n".join(
        f"    ip daddr {to.address} tcp dport {{ 443, {PRIVATE_PORT} }} redirect to :{to.port}"
        for to in redirected
    )
    return f"""table inet metahub {{
  chain signals {{
    type filter hook output priority filter; policy accept;
    meta skgid {GROUP} udp sport {FIREWALL_PORT} drop
  }}
  chain replies {{
    type filter hook prerouting priority mangle; policy accept;
    tcp sport 443 ct direction reply ct original proto-dst {LAYERS_PORT} tcp sport set {LAYERS_PORT}
  }}
  chain own {{
    type filter hook output priority raw; policy accept;
    meta skgid {GROUP} ct original zone set {OWN_ZONE}
  }}
  chain output {{
    type nat hook output priority -105; policy accept;
    tcp dport {LAYERS_PORT} dnat to :443
    meta skgid {GROUP} return
{redirects}
  }}
}}
"""


def run(*command: str) -> str:
    """Run a command; its output. Raises RuntimeError with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip()[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {said}")
    return done.stdout
