"""Judge where a registry sends the hub (a token's realm, a redirect) by its addresses.

A name may be one of anything: `metadata.google.internal`, `127.0.0.1.nip.io`, or whatever
the registry's own DNS says.
"""

import asyncio
from collections.abc import Iterable

import httpx

from metahub_addon.local_hosts import may_lead
from metahub_addon.printable import printable
from metahub_addon.upstream import FetchError


async def check_name(leader: str, url: httpx.URL) -> None:
    """Raise FetchError unless the server at an address may send us to a URL's host.

    Raises OSError if the host has no address. They are looked up in a thread.
    """
    host = url.raw_host.decode()
    found = await asyncio.get_running_loop().getaddrinfo(host, None)
    _check(leader, host, {str(address[0]) for *_, address in found})


def check_answer(leader: str, url: httpx.URL, address: str) -> None:
    """Raise FetchError if what answered is another than what the name was found to be.

    So nothing of it goes on. (A server that has TLS proves its name by itself.)
    """
    host = url.raw_host.decode()
    if not address:
        raise FetchError(f"sent to {printable(host)[:255]}, which has hung up")
    _check(leader, host, (address,))


def address_of(answer: httpx.Response) -> str:
    """The address that an answer comes from; empty if that can't be told any more."""
    stream = answer.extensions.get("network_stream")
    try:
        place = stream.get_extra_info("server_addr") if stream else None
    except OSError:
        return ""
    return str(place[0]) if place else ""


def _check(leader: str, host: str, addresses: Iterable[str]) -> None:
    if not may_lead(leader, host, addresses):
        raise FetchError(f"sent to {printable(host)[:255]}, which is local to the hub")
