"""Seconds that only pass when a test says so."""

from dataclasses import dataclass


@dataclass
class FakeTimer:
    """Stands in for time.monotonic. Each look at it takes `look` seconds."""

    now: float = 1000.0
    look: float = 0.0

    def __call__(self) -> float:
        self.now += self.look
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
