"""An HTTP/1.1 client as lean as Python allows: it shares the machine with what it asks."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

# What a runtime says with each request for a manifest.
RUNTIME = {
    "User-Agent": "docker/20.10.24 go/go1.19",
    "Accept": "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json",
}
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where to connect to, and the name it goes by; without `tls` in the clear."""

    address: str
    port: int
    host: str
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """The status line and headers as they came, and the body."""

    head: bytes
    body: bytes = b""

    @property
    def status(self) -> int:
        return int(self.head.split(b" ", 2)[1])

    def header(self, name: str) -> str:
        """A header's value; empty if it is not there."""
        _, found, rest = self.head.lower().partition(f"\r\n{name.lower()}:".encode())
        at = len(self.head) - len(rest)
        return self.head[at:].partition(b"\r\n")[0].decode().strip() if found else ""


class Connection:
    """A connection to a place, which carries one request after the other."""

    def __init__(
        self, place: Place, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._place, self._reader, self._writer = place, reader, writer

    @classmethod
    async def open(cls, place: Place) -> "Connection":
        """Raises OSError."""
        name = place.host if place.tls else None
        streams = await asyncio.open_connection(
            place.address, place.port, ssl=place.tls, server_hostname=name
        )
        return cls(place, *streams)

    async def ask(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """The answer; its body must have a Content-Length, as manifests have."""
        named = {"Host": self._place.host, **headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode())
        answer = Answer(await self._reader.readuntil(_END))
        if method == "HEAD":
            return answer
        length = answer.header("Content-Length")
        return Answer(answer.head, await self._reader.readexactly(int(length)))

    def close(self) -> None:
        self._writer.transport.abort()
