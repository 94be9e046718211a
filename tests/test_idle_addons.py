import gc
from collections.abc import AsyncIterator, Iterator

import pytest
from mitmproxy.addons import default_addons, dumper
from mitmproxy.test import taddons

from metahub_addon.idle_addons import calm_garbage_collector, remove_idle_addons

IDLE = {"anticache", "block", "cut", "dumper", "export", "maplocal", "proxyauth", "savehar"}
AT_WORK = {"core", "nextlayer", "proxyserver", "tlsconfig", "upstreamauth", "scriptloader"}


# taddons wants a running event loop: so all of these are asynchronous.
@pytest.fixture
async def context() -> AsyncIterator["taddons.context"]:
    """With mitmproxy's own addons, and those that give each something to do at their rest."""
    with taddons.context(*default_addons(), dumper.Dumper(), loadcore=False) as made:
        made.options.update(
            block_global=False, block_private=False, onboarding=False, flow_detail=0
        )
        yield made


def names(context: "taddons.context") -> set[str]:
    addons = context.master.addons
    return {name for name in addons.lookup if addons.get(name) is not None}


async def test_only_idle_addons_are_removed(context: "taddons.context") -> None:
    before = names(context)
    removed = remove_idle_addons()
    assert {*removed} == before - names(context)
    assert {*removed} >= IDLE
    assert names(context) >= AT_WORK
    assert not {*removed} & AT_WORK


@pytest.mark.parametrize(
    ("option", "value", "stays"),
    [
        ("anticache", True, "anticache"),
        ("block_global", True, "block"),
        ("block_private", True, "block"),
        ("block_list", ["/~q/444"], "blocklist"),
        ("map_local", ["|a|b"], "maplocal"),
        ("map_remote", ["|a|b"], "mapremote"),
        ("modify_headers", ["/~q/a/b"], "modifyheaders"),
        ("modify_body", ["/~q/a/b"], "modifybody"),
        ("onboarding", True, "onboarding"),
        ("flow_detail", 1, "dumper"),
        ("hardump", "/x", "savehar"),
        ("stickycookie", "~q", "stickycookie"),
    ],
)
async def test_what_an_option_gives_something_to_do_stays(
    context: "taddons.context", option: str, value: object, stays: str
) -> None:
    context.options.__dict__["_options"][option].set(value)
    assert stays not in remove_idle_addons()
    assert stays in names(context)


async def test_a_second_time_there_is_nothing_to_remove(context: "taddons.context") -> None:
    remove_idle_addons()
    assert remove_idle_addons() == []


@pytest.fixture
def collector() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


def test_the_collector_is_calm_and_not_off(collector: None) -> None:
    calm_garbage_collector()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] > 700
