"""Open the indexes in an index, within bounds; what fetches them is injected."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from metahub_addon.index import Child, Index, InvalidIndex
from metahub_addon.oci_platform import Platform, distance

MAX_DEPTH = 4
MAX_NESTED = 32

Opener = Callable[[Child], Awaitable[Index]]


async def open_nested(index: Index, machine: Platform, open_child: Opener) -> Index:
    """The index with its nested indexes opened, those of other platforms left out.

    Raises InvalidIndex if they are nested deeper than MAX_DEPTH, more than MAX_NESTED,
    or hold one another; and what `open_child` raises.
    """
    opened: set[str] = set()

    async def fill(outer: Index, depth: int) -> Index:
        return replace(outer, children=tuple([await one(c, depth) for c in outer.children]))

    async def one(child: Child, depth: int) -> Child:
        foreign = child.platform is not None and distance(child.platform, machine) is None
        if not child.is_index or child.artifact or foreign:
            return child
        if depth >= MAX_DEPTH:
            raise InvalidIndex(f"manifests: indexes are nested deeper than {MAX_DEPTH}")
        if child.digest in opened:
            raise InvalidIndex(f"manifests: index {child.digest} is nested twice")
        if len(opened) >= MAX_NESTED:
            raise InvalidIndex(f"manifests: more than {MAX_NESTED} nested indexes")
        opened.add(child.digest)
        return replace(child, nested=await fill(await open_child(child), depth + 1))

    return await fill(index, 0)
