"""The files that pages need: how they look, and their icon."""

import hashlib
from functools import cache
from pathlib import Path

from metahub_addon.web_handler import Handler

FOLDER = Path(__file__).resolve().parent / "web"


class Styles(Handler):
    """The files that a page needs; they are the same for everybody."""

    _etag = ""

    def get(self, name: str) -> None:
        """One of the files that the route names."""
        body, self._etag = _file(name)
        kind = "text/css" if name.endswith(".css") else "image/svg+xml"
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=3600")
        self.finish(body)

    def compute_etag(self) -> str | None:
        """Tornado compares it with what the browser has."""
        return f'"{self._etag}"'


@cache
def _file(name: str) -> tuple[bytes, str]:
    body = (FOLDER / name).read_bytes()
    return body, hashlib.sha256(body).hexdigest()[:16]


def style_version() -> str:
    """Changes with the style, so that a browser's copy is never out of date."""
    return _file("style.css")[1]


STYLES = ((r"/(style\.css|icon\.svg)", Styles),)
