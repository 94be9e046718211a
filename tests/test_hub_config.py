from types import MappingProxyType

import pytest

from metahub_addon.hub_config import DEFAULT_ORDER, Account, HubConfig, Selector, UpstreamRule
from support.descriptors import machine
from support.fake_registry_client import REPOSITORY

TYPES = {name: machine(name=name) for name in ("type1", "type2", "type3")}
CONFIG = HubConfig(types=TYPES, accounts={})


@pytest.mark.parametrize(
    ("types", "own", "names"),
    [
        ((), "", []),
        (("type1", "type2"), "", ["type1", "type2"]),
        (("type2", "type1"), "type1", ["type2", "type1"]),
        (("type1",), "type3", ["type1", "type3"]),
        ((), "type2", ["type2"]),
    ],
)
def test_the_types_of_an_account(types: tuple[str, ...], own: str, names: list[str]) -> None:
    account = Account(user="a", password="hash", types=types, own_type=own)
    found = CONFIG.types_of(account)
    assert list(found) == names
    assert list(found.values()) == [TYPES[name] for name in names]
    assert isinstance(found, MappingProxyType)


def test_an_account_hides_its_hash_and_may_little() -> None:
    account = Account(user="a", password="$2b$12$hash")
    assert "$2b$" not in repr(account)
    assert (account.pull, account.push, account.administrator) == (("*",), (), False)


def test_what_to_log_in_as() -> None:
    account = Account(user="gpu", password="hash", types=("a", "b"), own_type="a")
    assert [account.login_of(name) for name in ("a", "b")] == ["gpu", "gpu-b"]


@pytest.mark.parametrize(
    ("prefix", "hosts", "start"),
    [("", (), ""), ("q", (), "q"), ("q", ("q.hub.test",), "q"), ("", ("q.hub.test",), "q.test")],
)
def test_how_a_registrys_names_start_at_the_hub(
    prefix: str, hosts: tuple[str, ...], start: str
) -> None:
    registry = REPOSITORY.registry
    rule = UpstreamRule(name="q.test", registry=registry, prefix=prefix, hosts=hosts)
    assert rule.start == start


def test_by_default_a_login_goes_before_a_network() -> None:
    assert DEFAULT_ORDER == (Selector.USER, Selector.CERTIFICATE, Selector.NETWORK)
    assert set(DEFAULT_ORDER) == set(Selector)
