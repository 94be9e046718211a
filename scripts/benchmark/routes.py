"""The ways that a client can take to the registry, and what runs on each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmark.network import FIREWALL_PORT, LAYERS_PORT, RELAY_PORT, Redirected

# glibc's malloc: keep a connection's read buffers for the next reads, instead of giving
# them back to the kernel and taking them anew, page by page.
LEVERS = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * 1024 * 1024),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 1024 * 1024),
    "MALLOC_TOP_PAD_": str(16 * 1024 * 1024),
}
LEAN = "metahub_lean=true"
# The options that scripts/install sets, for all registries of the bench. Their ports can be
# had but once: of the proxies with these, one at a time may run.
INSTALLED = (
    "metahub_registries=*.test",
    f"metahub_layers_port={LAYERS_PORT}",
    f"metahub_relay_port={RELAY_PORT}",
    f"metahub_firewall_port={FIREWALL_PORT}",
    LEAN,
)
NOT_OURS = ("metahub_registries=elsewhere.test",)
MEMORY_CACHE_MIB = 16


@dataclass(frozen=True, slots=True)
class ProxyRoute:
    """A mitmdump of its own with the addon, which the firewall sends a name's connections to."""

    key: str
    options: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """The registry's name on this route."""
        return f"{self.key}.test"

    @property
    def port(self) -> int:
        """The transparent mode's port; the one above is the regular mode's."""
        return 18100 + 10 * PROXIES.index(self)

    @property
    def redirected(self) -> Redirected:
        """What the firewall does for it."""
        return Redirected(self.host, f"192.0.2.{10 + PROXIES.index(self)}", self.port)


BYPASS = ProxyRoute("bypass", INSTALLED)
STREAMED = ProxyRoute("streamed")
STREAMED_LEVERS = ProxyRoute("streamed-malloc", (), LEVERS)
RAW = ProxyRoute("raw", NOT_OURS)
RAW_LEVERS = ProxyRoute("raw-malloc", NOT_OURS, LEVERS)
COLD = ProxyRoute("cold", (LEAN, "metahub_cache_mib=1"))
MEMORY = ProxyRoute("memory", (*INSTALLED, f"metahub_cache_mib={MEMORY_CACHE_MIB}"))
PROXIES = (BYPASS, STREAMED, STREAMED_LEVERS, RAW, RAW_LEVERS, COLD, MEMORY)


@dataclass(frozen=True, slots=True)
class Route:
    """How a client asks: a URL, perhaps an explicit proxy or credentials, and what to expect.

    `processes` are those whose work is the route's price.
    """

    key: str
    url: str
    processes: tuple[int, ...] = ()
    proxy: str = ""
    redirects: int = 0
    credentials: bool = False
