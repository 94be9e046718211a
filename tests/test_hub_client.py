import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from metahub_addon import hub_client, runtime_login
from metahub_addon.credentials import Credentials
from metahub_addon.hub_client import (
    HubAddress,
    HubError,
    HubRefused,
    ask_types,
    is_hub_name,
)
from metahub_addon.hub_routes import TYPES_PATH
from metahub_addon.runtime_login import Runtime
from support.bombs import bomb, brotli, little_memory
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, serving

CREDENTIALS = Credentials(username="qnib", password="geheim!")
BASIC = "Basic cW5pYjpnZWhlaW0h"


def hub(answer: Callable[[Handler], None]) -> EmbeddedRegistry:
    """A registry that answers so to who asks for machine types."""
    registry = EmbeddedRegistry()
    registry.faults[TYPES_PATH] = answer
    return registry


def ask(registry: EmbeddedRegistry) -> bytes:
    with serving(registry):
        address = HubAddress(registry=f"127.0.0.1:{registry.port}", plain_http=True)
        return ask_types(address, CREDENTIALS)


def error(status: int, message: object, **headers: str) -> Callable[[Handler], None]:
    body = json.dumps({"errors": [{"code": "DENIED", "message": message}]}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.reply(status, body, named)


@pytest.mark.parametrize("name", ["hub", "hub.example", "hub:5443", "192.0.2.1:1", "[::1]:5443"])
def test_hubs(name: str) -> None:
    assert is_hub_name(name)


@pytest.mark.parametrize(
    "name", ["", "https://hub", "hub/a", "hub:", "hub:0", "hub:65536", "-p", "a b", "hub\n", ".."]
)
def test_what_is_no_hub(name: str) -> None:
    assert not is_hub_name(name)


def test_the_account_is_shown_at_once() -> None:
    registry = hub(lambda handler: handler.reply(200, b"types"))
    assert ask(registry) == b"types"
    (seen,) = registry.seen
    assert (seen.method, seen.path, seen.authorization) == ("GET", TYPES_PATH, BASIC)
    assert seen.user_agent.startswith("metahub/")


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (error(401, "no such account"), HubRefused, r"is refused \(401\): no such account"),
        (error(403, "a\x1b[2J"), HubRefused, r"is refused \(403\): a\\x1b\[2J"),
        (error(429, "slow", Retry_After="7"), HubRefused, r"\(429\): slow \(try again in 7 s\)"),
        (error(429, "slow", Retry_After="later"), HubRefused, r"\(429\): slow$"),
        (error(404, "unknown"), HubError, "answered 404, which no hub does: unknown"),
        (lambda handler: handler.reply(401, b"[]"), HubRefused, r"is refused \(401\)$"),
        (lambda handler: handler.reply(500, b"[" * 200_000), HubError, "answered 500, which"),
        (lambda handler: handler.reply(200, b" " * 5_000_000), HubError, "larger than 4194304"),
        (lambda handler: handler.connection.shutdown(2), HubError, "Error: "),
    ],
)
def test_failures(answer: Callable[[Handler], None], kind: type[HubError], says: str) -> None:
    with pytest.raises(HubError, match=says) as caught:
        ask(hub(answer))
    assert type(caught.value) is kind
    assert str(caught.value).startswith("127.0.0.1:")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "says"), [(bomb, "is larger than"), (brotli, "though identity was asked for")]
)
def test_an_answer_is_bounded_before_it_is_decoded(
    answer: Callable[[Handler], None], says: str
) -> None:
    with little_memory(), pytest.raises(HubError, match=says):
        ask(hub(answer))


def test_the_password_follows_no_redirect() -> None:
    other = EmbeddedRegistry()
    with serving(other):
        to = f"http://127.0.0.1:{other.port}/"
        with pytest.raises(HubError, match="answered 307"):
            ask(hub(lambda handler: handler.reply(307, b"", {"Location": to})))
    assert other.seen == []


def test_nobody_there() -> None:
    with pytest.raises(HubError, match=r"^127\.0\.0\.1:1: ConnectError"):
        ask_types(HubAddress(registry="127.0.0.1:1"), CREDENTIALS)


def test_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place_of = partial(runtime_login.ca_place, root=tmp_path)
    monkeypatch.setattr(hub_client, "ca_place", place_of)
    ca, cert, key = make_authority(tmp_path, "127.0.0.1")
    registry = hub(lambda handler: handler.reply(200, b"types"))
    with serving(registry, (str(cert), str(key))):
        name = f"127.0.0.1:{registry.port}"
        places = [place_of(runtime, name) for runtime in Runtime]
        hint = f"name the hub's CA with --ca, or put it at {places[0]}"
        with pytest.raises(HubError, match=hint):
            ask_types(HubAddress(registry=name), CREDENTIALS)
        assert ask_types(HubAddress(registry=name, ca=ca), CREDENTIALS) == b"types"
        for place in places:
            place.parent.mkdir(parents=True)
            place.write_bytes(ca.read_bytes())
            assert ask_types(HubAddress(registry=name), CREDENTIALS) == b"types"
            place.unlink()


def test_a_ca_that_cannot_be_read(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    with pytest.raises(HubError, match=r"ca\.pem: No such file"):
        ask_types(HubAddress(registry="127.0.0.1:1", ca=wrong), CREDENTIALS)
    wrong.write_text("no certificate")
    with pytest.raises(HubError, match=r"ca\.pem: "):
        ask_types(HubAddress(registry="127.0.0.1:1", ca=wrong), CREDENTIALS)
