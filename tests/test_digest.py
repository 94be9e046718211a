import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.digest import digest_of, is_digest

EMPTY = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        (EMPTY, True),
        ("sha512:" + "a" * 128, True),
        (EMPTY.upper(), False),
        (EMPTY[:-1], False),
        (EMPTY + "\n", False),
        ("sha512:" + "a" * 64, False),
        ("md5:" + "a" * 32, False),
        ("", False),
    ],
)
def test_is_digest(text: str, valid: bool) -> None:
    assert is_digest(text) is valid


def test_digest_of_nothing() -> None:
    assert digest_of(b"") == EMPTY


@given(st.binary(), st.sampled_from(["sha256:", "sha512:"]))
def test_a_digest_is_one(body: bytes, like: str) -> None:
    assert is_digest(digest_of(body, like))
