import pytest

from metahub_addon.own_addresses import is_own_address


@pytest.mark.parametrize(
    ("address", "own"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.77", False),
        ("2001:db8::77", False),
        ("::ffff:192.0.2.77", False),
        ("fe80::77%lo", False),
    ],
)
def test_is_own_address(address: str, own: bool) -> None:
    assert is_own_address(address) is own
    assert is_own_address(address) is own, "and as it was remembered"
