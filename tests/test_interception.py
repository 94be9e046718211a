from collections.abc import Sequence

import pytest

from metahub_addon.interception import Endpoint, Interception
from metahub_addon.registries import parse_registries
from support.fake_timer import FakeTimer

REGISTRY = Endpoint("reg.test", 443)
LAYERS = Endpoint("layers.test", 443)
ADDRESS, OTHER = "192.0.2.1", "192.0.2.2"


def interception(*registries: str, ports: Sequence[int] = (), timer: FakeTimer) -> Interception:
    return Interception(parse_registries(registries), ports, timer)


@pytest.fixture
def timer() -> FakeTimer:
    return FakeTimer()


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [(REGISTRY, "reg.test:443"), (Endpoint("2001:db8::1", 5000), "[2001:db8::1]:5000")],
)
def test_an_endpoint_reads_as_in_a_url(endpoint: Endpoint, shown: str) -> None:
    assert str(endpoint) == shown


@pytest.mark.parametrize(
    ("registries", "endpoint", "reason"),
    [
        ((), REGISTRY, ""),
        (("reg.test",), REGISTRY, ""),
        (("*.test:443",), REGISTRY, ""),
        (("reg.test:5000",), REGISTRY, "not in metahub_registries"),
        (("other.test",), REGISTRY, "not in metahub_registries"),
        ((), Endpoint("reg.test", 17443), "its layers go past"),
        (("reg.test",), Endpoint("reg.test", 17443), "its layers go past"),
        (("reg.test",), Endpoint("reg.test", 17444), ""),
    ],
)
def test_what_is_left_alone(
    registries: Sequence[str], endpoint: Endpoint, reason: str, timer: FakeTimer
) -> None:
    assert interception(*registries, ports=[17443], timer=timer).leave(endpoint) == reason


def test_what_is_included_is_so_whatever_was_learned(timer: FakeTimer) -> None:
    known = interception("reg.test", timer=timer)
    known.note_broken(REGISTRY)
    assert known.includes(REGISTRY)
    assert not known.includes(LAYERS)


def test_a_host_of_layers_is_left_alone_for_an_hour(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    assert known.note_layers(REGISTRY, LAYERS)
    assert known.leave(LAYERS) == "serves layers only"
    assert known.leave(Endpoint("layers.test", 444)) == ""
    assert known.leave(REGISTRY) == ""
    timer.wait(3599)
    assert not known.note_layers(REGISTRY, LAYERS), "no news, but said again"
    timer.wait(3599)
    assert known.leave(LAYERS)
    timer.wait(2)
    assert known.leave(LAYERS) == ""


@pytest.mark.parametrize("endpoint", [REGISTRY, Endpoint("reg.test", 8443)])
def test_a_registry_that_names_itself_is_no_host_of_layers(
    endpoint: Endpoint, timer: FakeTimer
) -> None:
    known = interception(timer=timer)
    assert not known.note_layers(REGISTRY, endpoint)
    assert known.leave(endpoint) == ""


def test_who_serves_manifests_stays_a_registry(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_layers(REGISTRY, LAYERS)
    known.note_manifest(LAYERS, ADDRESS)
    assert known.leave(LAYERS) == ""
    assert not known.note_layers(REGISTRY, LAYERS)
    assert known.leave(LAYERS) == ""


def test_only_addresses_of_hosts_of_layers_may_pass(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    assert not known.may_pass(LAYERS, ADDRESS)
    known.note_layers(REGISTRY, LAYERS)
    assert known.may_pass(LAYERS, ADDRESS)
    known.note_manifest(REGISTRY, ADDRESS)
    assert not known.may_pass(LAYERS, ADDRESS), "a registry answers there, too"
    assert known.may_pass(LAYERS, OTHER)
    assert not known.may_pass(REGISTRY, OTHER)
    timer.wait(3601)
    assert not known.may_pass(LAYERS, OTHER)


def test_a_client_without_trust_gets_through_for_five_minutes(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    assert known.note_distrust(REGISTRY)
    assert known.leave(REGISTRY) == "a client does not trust the proxy's CA"
    assert known.leave(LAYERS) == ""
    timer.wait(299)
    assert known.leave(REGISTRY)
    timer.wait(2)
    assert known.leave(REGISTRY) == ""


def test_a_client_without_trust_takes_nothing_from_others(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_trust(REGISTRY)
    assert not known.note_distrust(REGISTRY)
    assert known.leave(REGISTRY) == ""
    assert known.note_distrust(Endpoint("reg.test", 5000)), "that was another port"


def test_a_registry_that_cannot_be_verified_is_left_for_five_minutes(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_trust(REGISTRY)
    known.note_broken(REGISTRY)
    assert known.leave(REGISTRY) == "TLS with the registry failed"
    timer.wait(301)
    assert known.leave(REGISTRY) == ""


def test_what_is_known_is_bounded(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_layers(REGISTRY, LAYERS)
    for number in range(4096):
        known.note_layers(REGISTRY, Endpoint(f"{number}.test", 443))
    assert known.leave(LAYERS) == ""
    assert known.leave(Endpoint("4095.test", 443)) == "serves layers only"
