import pytest

from metahub_addon.places import place_of, site_of


@pytest.mark.parametrize(
    ("address", "place", "site"),
    [
        ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/48"),
        ("", "", ""),
        ("x" * 1000, "x" * 256, "x" * 256),
    ],
)
def test_places_and_sites(address: str, place: str, site: str) -> None:
    assert (place_of(address), site_of(address)) == (place, site)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "2001:db8::ffff:0:1"),
        ("fe80::1%eth0", "fe80::2"),
        ("rubbish", "rubbish"),
    ],
)
def test_one_place(one: str, other: str) -> None:
    assert place_of(one) == place_of(other)


@pytest.mark.parametrize(
    ("one", "other"), [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")]
)
def test_other_places(one: str, other: str) -> None:
    assert place_of(one) != place_of(other)
