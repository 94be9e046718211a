"""The outcome of holding one required feature against one that a machine has."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Match:
    """Whether a requirement holds, why, and how close it comes to the host.

    `distance` orders requirements of one key that hold: the smaller tuple is the
    closer to the host. It is `None` where the requirement does not hold.
    """

    why: str
    distance: tuple[int, ...] | None = None

    @property
    def holds(self) -> bool:
        """True if the machine satisfies the requirement."""
        return self.distance is not None
