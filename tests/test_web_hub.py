"""The hub and the one of the tests are both what the page wants."""

import inspect

from metahub_addon.hub import Hub
from metahub_addon.web_hub import WebHub
from page.fake_hub import FakeHub


def take(hub: WebHub) -> WebHub:
    """Mypy holds what is given against the protocol."""
    return hub


def real(hub: Hub) -> WebHub:
    return take(hub)


def fake(hub: FakeHub) -> WebHub:
    return take(hub)


def test_all_of_it_is_there() -> None:
    wanted = [name for name in vars(WebHub) if not name.startswith("_")]
    assert "matrix" in wanted
    for name in wanted:
        own, others = vars(Hub)[name], vars(FakeHub).get(name)
        assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(others)
