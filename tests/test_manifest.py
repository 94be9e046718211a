import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.manifest import config_digest
from support.descriptors import digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["config", "digest", "layers"]), inner, max_size=3)
    ),
)


@pytest.mark.parametrize(
    ("document", "found"),
    [
        ({"config": {"digest": digest(1)}, "layers": [{"digest": digest(2)}]}, digest(1)),
        ({"config": {"digest": "sha512:" + "a" * 128}}, "sha512:" + "a" * 128),
        ({"config": {"digest": "sha256:abc"}}, ""),
        ({"config": {"digest": "../../etc"}}, ""),
        ({"config": {"digest": 7}}, ""),
        ({"config": {"digest": None}}, ""),
        ({"config": {}}, ""),
        ({"config": [digest(1)]}, ""),
        ({"config": digest(1)}, ""),
        ({"manifests": [{"digest": digest(1)}]}, ""),
        ({}, ""),
        ([], ""),
        (None, ""),
        ("config", ""),
    ],
)
def test_config_digest(document: Any, found: str) -> None:
    assert config_digest(json.dumps(document).encode()) == found


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"config":' * 50_000, b"9" * 5000, b'{"config"'],
)
def test_what_is_no_manifest_names_none(body: bytes) -> None:
    assert config_digest(body) == ""


@given(st.binary(max_size=200) | JSON.map(lambda document: json.dumps(document).encode()))
def test_no_body_is_too_odd(body: bytes) -> None:
    found = config_digest(body)
    assert found.encode() in body


@given(st.integers(0, 2**200), JSON)
def test_a_configuration_is_found_whatever_else_there_is(number: int, more: Any) -> None:
    document = {"layers": more, "config": {"size": more, "digest": digest(number)}}
    assert config_digest(json.dumps(document).encode()) == digest(number)
