from dataclasses import replace

from metahub_addon.selection import choose
from metahub_addon.web_views import given, type_rows, view_image
from page.fake_hub import machine_type, make_config, make_index

TYPE1 = machine_type("type1", "linux/amd64", ["cpu:broadwell"])


def test_types_of_an_account_and_its_logins() -> None:
    config = make_config()
    (row,) = type_rows(config, config.accounts["ops"])
    assert (row.machine.name, row.login) == ("type4", "ops")


def test_an_administrator_sees_all_types() -> None:
    config = make_config()
    narrow = replace(config.accounts["qnib"], types=("type1",))
    logins = {row.machine.name: row.login for row in type_rows(config, narrow)}
    assert logins["type1"] == "qnib-type1"
    assert logins["type2"] == ""
    assert len(logins) == len(config.types)


def test_a_decision() -> None:
    decision = choose(make_index(("linux/amd64", ("cpu:skylake",))), TYPE1)
    assert given(decision).image is None
    assert given(decision).reason.startswith("nothing fits machine type type1")
    chosen = given(choose(make_index(("linux/amd64", ())), TYPE1)).image
    assert chosen
    assert chosen.digest.startswith(f"sha256:{chosen.short}")


def test_a_child_without_a_platform() -> None:
    child = replace(make_index(("linux/amd64", ())).children[0], platform=None)
    assert view_image(child).platform == "none"
