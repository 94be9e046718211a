import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.features import Feature
from metahub_addon.index import (
    MAX_CHILDREN,
    MAX_FEATURES,
    MAX_MANIFEST_BYTES,
    Child,
    InvalidIndex,
    parse_index,
)
from metahub_addon.media_types import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX
from metahub_addon.oci_platform import Platform

DIGEST = "sha256:" + "a" * 64
GOOD: dict[str, Any] = {
    "mediaType": DOCKER_MANIFEST,
    "digest": DIGEST,
    "size": 7,
    "platform": {"os": "linux", "architecture": "amd64"},
}


def body(*children: Any, **more: Any) -> bytes:
    return json.dumps({"schemaVersion": 2, "manifests": list(children), **more}).encode()


def parse_one(**changes: Any) -> Child:
    return parse_index(body(GOOD | changes), DOCKER_LIST).children[0]


def test_a_plain_child() -> None:
    assert parse_one() == Child(
        media_type=DOCKER_MANIFEST, digest=DIGEST, size=7, platform=Platform("linux", "amd64")
    )
    assert parse_one().is_manifest
    assert not parse_one().is_index


@pytest.mark.parametrize(
    ("changes", "requires"),
    [
        ({"platform": {**GOOD["platform"], "features": ["cpu:zen2", "sse4"]}}, "cpu:zen2 sse4"),
        ({"platform": {**GOOD["platform"], "variant": "v3"}}, "cpu:x86_64_v3"),
        ({"platform": {**GOOD["platform"], "variant": "v1"}}, ""),
        ({"annotations": {"org.metahub.features": "cpu:zen2, nvcap:8.0,"}}, "cpu:zen2 nvcap:8.0"),
        ({"annotations": {"io.archspec.cpu.target": "zen3"}}, "cpu:zen3"),
        (
            {"annotations": {"org.supercontainers.hardware.cpu.target.microarch": "haswell"}},
            "cpu:haswell",
        ),
        (
            {
                "platform": {**GOOD["platform"], "features": ["cpu:zen3"]},
                "annotations": {"io.archspec.cpu.target": "zen3", "other": "x"},
            },
            "cpu:zen3",
        ),
    ],
)
def test_what_a_child_requires(changes: dict[str, Any], requires: str) -> None:
    assert parse_one(**changes).requires == tuple(map(Feature.parse, requires.split()))


@pytest.mark.parametrize(
    ("changes", "artifact"),
    [
        ({"platform": {"os": "unknown", "architecture": "unknown"}}, True),
        ({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}}, True),
        ({"artifactType": "application/vnd.example.sbom"}, True),
        ({"artifactType": "application/vnd.oci.image.config.v1+json"}, False),
        ({"artifactType": ""}, False),
        ({"platform": None}, False),
    ],
)
def test_artifacts(changes: dict[str, Any], artifact: bool) -> None:
    assert parse_one(**changes).artifact is artifact


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"{", "index: is not JSON"),
        (b"\xff", "index: is not JSON"),
        (b"[" * 200_000, "index: is not JSON"),
        (b"[]", "index: is not an object"),
        (b" " * (MAX_MANIFEST_BYTES + 1), "index: has 4194305 bytes"),
        (b'{"schemaVersion": 1}', "schemaVersion"),
        (b'{"schemaVersion": 2}', "manifests: is not a list"),
        (body(mediaType=OCI_INDEX), "mediaType: is"),
        (body(layers=[]), "layers: has no place"),
        (body(*[GOOD] * (MAX_CHILDREN + 1)), "manifests: has 4097 children"),
        (body("x"), "manifests[0]: is not an object"),
        (body(GOOD, {**GOOD, "mediaType": 1}), "manifests[1].mediaType: is not a string"),
        (body({**GOOD, "mediaType": "a/b\n"}), "manifests[0].mediaType: is no media type"),
        (body({**GOOD, "digest": "sha256:0"}), "manifests[0].digest"),
        (body({**GOOD, "size": -1}), "manifests[0].size"),
        (body({**GOOD, "size": True}), "manifests[0].size"),
        (body({**GOOD, "artifactType": [None]}), "manifests[0].artifactType: is not a string"),
        (body({**GOOD, "platform": "linux"}), "manifests[0].platform: is not an object"),
        (body({**GOOD, "platform": {"os": "linux"}}), "manifests[0].platform: ''"),
        (
            body({**GOOD, "platform": {**GOOD["platform"], "features": "x"}}),
            "manifests[0].platform.features: is not a list",
        ),
        (
            body({**GOOD, "platform": {**GOOD["platform"], "features": ["a\x1b"]}}),
            "manifests[0].platform.features: ",
        ),
        (
            body({**GOOD, "annotations": {"org.metahub.features": ["x"]}}),
            "manifests[0].annotations.org.metahub.features: is not a string",
        ),
        (
            body({**GOOD, "annotations": {"org.metahub.features": "a," * (MAX_FEATURES + 1)}}),
            "manifests[0]: requires 257 features",
        ),
    ],
)
def test_what_is_no_index(content: bytes, says: str) -> None:
    with pytest.raises(InvalidIndex) as caught:
        parse_index(content, DOCKER_LIST)
    assert str(caught.value).startswith(says)
    assert str(caught.value).isprintable()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
fields = st.sampled_from(["mediaType", "digest", "size", "platform", "annotations", "artifactType"])


@given(st.dictionaries(fields, json_values))
def test_any_child_parses_or_is_named(changes: dict[str, Any]) -> None:
    try:
        parsed = parse_index(body(GOOD | changes), DOCKER_LIST)
    except InvalidIndex as error:
        assert str(error).startswith("manifests[0]")
    else:
        assert len(parsed.children) == 1


@given(st.binary())
def test_any_bytes_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(InvalidIndex):
        parse_index(content, DOCKER_LIST)
