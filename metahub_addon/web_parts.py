"""What the handlers of requests share: the hub, the metrics, the sessions."""

from collections.abc import Callable

from metahub_addon.metrics import Metrics
from metahub_addon.web_hub import WebHub
from metahub_addon.web_secret import WebSecret
from metahub_addon.web_session import Sessions


class WebParts:
    """One of each for a process."""

    def __init__(
        self,
        *,
        hub: Callable[[], WebHub | None],
        is_ready: Callable[[], str],
        metrics: Metrics,
    ) -> None:
        self.hub = hub
        self.is_ready = is_ready
        self.metrics = metrics
        self._secret = WebSecret()
        self.sessions = Sessions(self._current_secret)

    def check(self) -> None:
        """Read the secret of the sessions, so that a fault shows early; raises SecretError."""
        self._current_secret()

    def _current_secret(self) -> bytes:
        hub = self.hub()
        return self._secret.of(hub.config.secret_file if hub else "")
