"""What every answer of the page and API has in common: headers, who asks, errors."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType, TracebackType
from typing import Any

from tornado.web import Finish, HTTPError, RequestHandler

from metahub_addon.printable import printable
from metahub_addon.web_parts import WebParts
from metahub_addon.web_secret import SecretError

logger = logging.getLogger("metahub")

# No script at all, and nothing from elsewhere (Content Security Policy Level 3).
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = MappingProxyType(
    {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
)
_WORDS = MappingProxyType(
    {
        400: "The request is not as it should be.",
        403: "This is not allowed.",
        404: "There is no such page.",
        405: "That can't be done here.",
        500: "Something failed here; the hub's log says what.",
        503: "The hub is not up yet.",
    }
)
_UNREADABLE = (
    "No one can log in here for now: the hub can't read the file that its secret_file names. "
    "The hub's log says why."
)


class Refused(HTTPError):
    """An answer other than success, with a text that the client may see."""

    def __init__(self, status: int, text: str, seconds: float = 0) -> None:
        super().__init__(status)
        self.text = text
        self.seconds = seconds


class Handler(RequestHandler):
    """Headers for safety on every answer, and errors that tell nothing but what they must."""

    parts: WebParts

    def initialize(self, parts: WebParts) -> None:
        """Called by tornado with what the route gives."""
        self.parts = parts

    def set_default_headers(self) -> None:
        """Also on errors."""
        self.clear_header("Server")
        for name, value in _HEADERS.items():
            self.set_header(name, value)

    def compute_etag(self) -> str | None:
        """None of tornado's own: what is not stored needs none."""
        return None

    def text_of(self, status: int, error: BaseException | None) -> str:
        """What the client is told about an error."""
        if isinstance(error, Refused):
            return error.text
        if isinstance(error, SecretError):
            return _UNREADABLE
        return _WORDS.get(status, HTTPStatus(status).phrase)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """An error as one line."""
        error = _error(kwargs)
        if isinstance(error, Refused) and error.seconds:
            self.set_header("Retry-After", str(max(1, round(error.seconds))))
        if isinstance(error, SecretError):
            status_code = 503
            self.set_status(status_code)
        self.show_error(status_code, self.text_of(status_code, error))

    def show_error(self, status: int, text: str) -> None:
        """As plain text; pages and the API have their own ways."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{printable(text)}\n")

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Only what is our fault is worth a line."""
        if isinstance(value, SecretError):
            logger.warning("metahub_web: %s", value)
        elif value is not None and not isinstance(value, HTTPError | Finish):
            where = f"{self.request.method} {printable(self.request.path)}"
            logger.error("metahub_web: %s failed", where, exc_info=value)


class Missing(Handler):
    """Whatever is not there."""

    def prepare(self) -> None:
        """With any method."""
        raise HTTPError(404)

    def check_xsrf_cookie(self) -> None:
        """Nothing happens here, so nothing can be forged."""


def _error(told: Mapping[str, Any]) -> BaseException | None:
    return told["exc_info"][1] if "exc_info" in told else None


def log_request(handler: RequestHandler) -> None:
    """One DEBUG line a request; its query stays out of the log."""
    request = handler.request
    where = f"{request.method} {printable(request.path)}"
    logger.debug("metahub_web: %s: %d for %s", where, handler.get_status(), request.remote_ip)
