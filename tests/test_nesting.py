from collections.abc import Mapping

import pytest

from metahub_addon.index import Child, Index, InvalidIndex
from metahub_addon.media_types import OCI_INDEX
from metahub_addon.nesting import MAX_DEPTH, MAX_NESTED, Opener, open_nested
from metahub_addon.oci_platform import Platform
from support.descriptors import child, digest, index

HOST = Platform("linux", "amd64")


def nest(number: int, platform: Platform | None = None, artifact: bool = False) -> Child:
    return child(number, media_type=OCI_INDEX, platform=platform, artifact=artifact)


def opener(content: Mapping[str, Index]) -> Opener:
    async def open_child(wanted: Child) -> Index:
        return content[wanted.digest]

    return open_child


async def test_nests_are_opened_all_the_way() -> None:
    content = {digest(1): index(child(3), nest(2)), digest(2): index(child(4))}
    opened = await open_nested(index(nest(1), child(5)), HOST, opener(content))
    outer, plain = opened.children
    assert plain == child(5)
    assert outer.nested
    assert outer.nested.children[1].nested == content[digest(2)]


async def test_other_platforms_and_artifacts_stay_closed() -> None:
    closed = index(nest(1, Platform("linux", "arm64")), nest(2, artifact=True))
    assert await open_nested(closed, HOST, opener({})) == closed


@pytest.mark.parametrize(
    ("outer", "content", "says"),
    [
        (
            index(nest(0)),
            {digest(at): index(nest(at + 1)) for at in range(MAX_DEPTH + 1)},
            "deeper than",
        ),
        (index(nest(1)), {digest(1): index(nest(1))}, "nested twice"),
        (
            index(*map(nest, range(MAX_NESTED + 1))),
            {digest(at): index() for at in range(MAX_NESTED + 1)},
            "more than 32",
        ),
    ],
)
async def test_bounds(outer: Index, content: Mapping[str, Index], says: str) -> None:
    with pytest.raises(InvalidIndex, match=says):
        await open_nested(outer, HOST, opener(content))
