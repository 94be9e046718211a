from collections.abc import Callable

import pytest
from mitmproxy.proxy import layer

from metahub_addon.mitmproxy_wrap import unwrap, wrap

PLACE = "mitmproxy.proxy.layer:Layer.handle_event"
ORIGINAL = layer.Layer.handle_event


def test_a_place_is_wrapped_once() -> None:
    seen: list[object] = []

    def make(original: Callable[..., object]) -> Callable[..., object]:
        seen.append(original)
        return lambda: None

    try:
        assert wrap(PLACE, make)
        assert wrap(PLACE, make)
        assert layer.Layer.handle_event is not ORIGINAL
    finally:
        unwrap(PLACE)
    assert seen == [ORIGINAL] * 2
    assert layer.Layer.handle_event is ORIGINAL
    unwrap(PLACE)
    assert layer.Layer.handle_event is ORIGINAL


@pytest.mark.parametrize(
    "place",
    ["mitmproxy.gone:A.b", "mitmproxy.proxy.layer:Gone.b", "mitmproxy.proxy.layer:Layer.gone"],
)
def test_another_mitmproxy(place: str, caplog: pytest.LogCaptureFixture) -> None:
    assert not wrap(place, lambda original: original)
    assert [one.levelname for one in caplog.records] == ["WARNING"]
    assert place in caplog.text
    unwrap(place)
