"""TLS relays that keep what passes, in both directions: what a test searches for secrets.

Run as `python tee.py FOLDER CERTIFICATE AUTHORITY NAME=LISTENER=TARGET…`. The bytes that
clients send are added to FOLDER/NAME.up, the answers to FOLDER/NAME.down.
"""

import asyncio
import ssl
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

_CHUNK = 65536


@dataclass(frozen=True)
class Tee:
    """One relay; addresses are `host:port`."""

    name: str
    listener: str
    target: str

    @classmethod
    def of(cls, text: str) -> "Tee":
        """Parse `NAME=LISTENER=TARGET`."""
        return cls(*text.split("="))

    def __str__(self) -> str:
        return f"{self.name}={self.listener}={self.target}"


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: BinaryIO) -> None:
    try:
        while chunk := await source.read(_CHUNK):
            kept.write(chunk)
            kept.flush()
            sink.write(chunk)
            await sink.drain()
    except (OSError, ssl.SSLError):
        pass  # one side has gone: so does the other
    finally:
        sink.close()


async def _relay(
    tee: Tee,
    files: tuple[BinaryIO, BinaryIO],
    trust: ssl.SSLContext,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    address, port = tee.target.split(":")
    try:
        name = f"{tee.name}.test"
        there = await asyncio.open_connection(address, int(port), ssl=trust, server_hostname=name)
    except OSError:
        writer.close()
        return
    up, down = files
    await asyncio.gather(_copy(reader, there[1], up), _copy(there[0], writer, down))


async def main(folder: Path, certificate: str, authority: str, tees: list[Tee]) -> None:
    """Relay until the end. Nothing but HTTP/1.1 is agreed on: what is kept is plain text."""
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.load_cert_chain(certificate)
    trust = ssl.create_default_context(cafile=authority)
    for tee in tees:
        files = (folder / f"{tee.name}.up").open("ab"), (folder / f"{tee.name}.down").open("ab")
        address, port = tee.listener.split(":")
        await asyncio.start_server(partial(_relay, tee, files, trust), address, int(port), ssl=own)
    await asyncio.Event().wait()


if __name__ == "__main__":
    listed = [Tee.of(text) for text in sys.argv[4:]]
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], listed))
