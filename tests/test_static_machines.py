from pathlib import Path

import pytest

from metahub_addon.hub_config import ReadOnly
from metahub_addon.oci_platform import Platform
from metahub_addon.passwords import hash_password, matches
from metahub_addon.profile_parser import parse_profile
from metahub_addon.static_machines import StaticMachines
from metahub_addon.type_selection import read_login

PROFILES = Path(__file__).parent.parent / "profiles"
STATIC = StaticMachines(lambda text: hash_password(text, 4))


@pytest.mark.parametrize("name", ["type1", "type2", "type3", "type4"])
def test_the_four_types_are_those_of_the_profiles(name: str) -> None:
    path = PROFILES / f"{name}.yaml"
    profile = parse_profile(path.read_text(), str(path), lambda: Platform("linux", "amd64"))
    login = read_login(STATIC.config, f"qnib-{name}")
    assert login is not None
    assert login.machine == profile.machine
    assert dict(STATIC.config.types_of(login.account)) == {name: profile.machine}
    assert matches(f"qnib-{name}", login.account.password)


def test_nobody_else_is_there() -> None:
    assert set(STATIC.config.types) == {"type1", "type2", "type3", "type4"}
    assert len(STATIC.config.accounts) == 4
    assert read_login(STATIC.config, "qnib") is None
    assert read_login(STATIC.config, "qnib-type5") is None


def test_nothing_changes() -> None:
    assert not STATIC.is_stale()
    assert STATIC.current() is STATIC.config
    with pytest.raises(ReadOnly, match="has no file"):
        STATIC.put_type({"name": "x"})
    with pytest.raises(ReadOnly, match="has no file"):
        STATIC.remove_type("type1")
