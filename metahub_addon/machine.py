"""MachineType: a kind of host, and how images are held against it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from metahub_addon.features import DEFAULT_COMPARISONS, Comparison, Feature
from metahub_addon.oci_platform import Platform

# Accelerators decide most, then what links processes, then the CPU, then the kind of
# cloud instance (named as MetaHub's autologin names it).
DEFAULT_PREFER = (
    *("nvcap", "nvptx", "gfx", "rocm", "mpi", "fabric", "cpu"),
    *("instType", "instSize", "instHT"),
)


class MatchMode(StrEnum):
    """How a child's features are held against the machine's."""

    COMPATIBLE = "compatible"
    EXACT = "exact"


class Otherwise(StrEnum):
    """What a client gets when no child fits: what upstream said, or an error."""

    INDEX = "index"
    ERROR = "error"


class Gpus(StrEnum):
    """Which GPUs of a host an image's code must run on: it sees every one, or is given one."""

    EVERY = "every"
    ANY = "any"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineType:
    """A kind of host: its name, platform and features, and how children are ranked.

    `cpu_flags` are the flags that the host's kernel shows; empty: all that its
    microarchitecture has.
    """

    name: str
    platform: Platform
    features: tuple[Feature, ...] = ()
    prefer: tuple[str, ...] = ()
    compare: Mapping[str, Comparison] = field(default_factory=lambda: MappingProxyType({}))
    match: MatchMode = MatchMode.COMPATIBLE
    otherwise: Otherwise = Otherwise.INDEX
    gpus: Gpus = Gpus.EVERY
    cpu_flags: frozenset[str] = frozenset()

    @property
    def ranking(self) -> tuple[str, ...]:
        """All keys in the order in which they decide: preferred, default, the machine's rest."""
        own = (feature.key for feature in self.features)
        return tuple(dict.fromkeys((*self.prefer, *DEFAULT_PREFER, *own)))

    def comparison(self, key: str) -> Comparison:
        """How values of a key are compared on this machine."""
        return self.compare.get(key, DEFAULT_COMPARISONS.get(key, Comparison.EXACT))

    def values(self, key: str) -> tuple[str, ...]:
        """The values that the machine has for a key.

        A level in the platform (`linux/amd64/v3`) is a CPU; the native capability of a
        GPU says which PTX it takes.
        """
        own = tuple(feature.value for feature in self.features if feature.key == key)
        if key == "cpu" and self.platform.architecture == "amd64" and self.platform.variant:
            own += (Feature.parse(f"cpu:{self.platform.variant}").value,)
        return own or (self.values("nvcap") if key == "nvptx" else ())
