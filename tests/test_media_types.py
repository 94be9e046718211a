import pytest

from metahub_addon.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, accepts, essence


@pytest.mark.parametrize(
    ("lines", "media_type", "taken"),
    [
        ([], OCI_INDEX, True),
        ([""], OCI_INDEX, True),
        (["*/*"], OCI_INDEX, True),
        (["application/*"], OCI_INDEX, True),
        (["text/html"], OCI_INDEX, False),
        ([DOCKER_LIST, DOCKER_MANIFEST], DOCKER_MANIFEST, True),
        ([f"{DOCKER_LIST}, {DOCKER_MANIFEST.upper()};q=0.5"], DOCKER_MANIFEST, True),
        ([f"{DOCKER_MANIFEST};q=0, */*"], DOCKER_MANIFEST, False),
        ([f"{DOCKER_MANIFEST};q=x"], DOCKER_MANIFEST, False),
        ([f"{DOCKER_MANIFEST};charset=utf-8"], DOCKER_MANIFEST, True),
    ],
)
def test_accepts(lines: list[str], media_type: str, taken: bool) -> None:
    assert accepts(lines, media_type) is taken


def test_essence() -> None:
    assert essence(f"{OCI_INDEX.upper()} ; charset=utf-8") == OCI_INDEX
