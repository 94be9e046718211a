"""How much is measured."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Self

# In the order in which they run: what fills the memory of the machine comes last.
PARTS = ("choose", "start", "manifests", "hub", "pull", "layers", "memory")
NEED_ROOT = frozenset({"manifests", "hub", "pull", "layers", "memory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Sizes and counts of a run; the defaults are the full one."""

    addon: str
    rounds: int = 5
    manifest_rounds: int = 3
    layer_mib: int = 1024
    pull_layers: int = 4
    pull_layer_mib: int = 128
    manifest_requests: int = 1500
    paced_seconds: int = 8
    fleet_rounds: int = 2
    fleet_machines: int = 200
    fleet_tags: int = 20
    fleet_paced_pulls: int = 2
    memory_requests: int = 50_000
    memory_gib: int = 20
    starts: int = 5
    children: int = 1000

    @property
    def layer_bytes(self) -> int:
        """The size of the large layer."""
        return self.layer_mib * 1024 * 1024

    def quick(self) -> Self:
        """A run of about a minute: enough to see that all works, too little to judge by."""
        return replace(
            self,
            rounds=2,
            manifest_rounds=1,
            layer_mib=min(self.layer_mib, 128),
            pull_layer_mib=24,
            manifest_requests=200,
            paced_seconds=2,
            fleet_rounds=1,
            fleet_tags=2,
            fleet_paced_pulls=1,
            memory_requests=1500,
            memory_gib=1,
            starts=2,
        )

    def to_json(self) -> str:
        """For the process in the namespaces."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The reverse of `to_json`."""
        return cls(**json.loads(text))
