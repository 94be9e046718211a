from collections.abc import Callable, Sequence

import pytest

from metahub_addon.interception import Endpoint, Interception
from metahub_addon.registries import parse_registries
from support.fake_timer import FakeTimer

REGISTRY = Endpoint("reg.test", 443)
LAYERS = Endpoint("layers.test", 443)
ADDRESS, OTHER = "192.0.2.1", "192.0.2.2"
DAY = 24 * 3600
ROOT, USER = 0, 1000


def interception(*registries: str, ports: Sequence[int] = (), timer: FakeTimer) -> Interception:
    return Interception(parse_registries(registries), ports, timer)


def left(known: Interception, endpoint: Endpoint, owner: int | None = ROOT) -> str:
    """Why a user's connection is left alone."""
    return known.leave(endpoint, lambda: owner)


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
    assert left(interception(*registries, ports=[17443], timer=timer), endpoint) == reason


def test_whose_connection_it_is_is_looked_up_only_where_it_matters(timer: FakeTimer) -> None:
    """The look costs milliseconds."""
    asked = []

    def owner() -> int:
        asked.append(1)
        return USER

    known = interception(timer=timer)
    known.note_distrust(LAYERS, USER)
    for endpoint in (REGISTRY, LAYERS):
        known.leave(endpoint, owner)
    assert len(asked) == 1


def test_what_is_included_is_so_whatever_was_learned(timer: FakeTimer) -> None:
    known = interception("reg.test", timer=timer)
    known.note_broken(REGISTRY)
    assert known.includes(REGISTRY)
    assert not known.includes(LAYERS)


def test_a_host_of_layers_is_left_alone_for_an_hour(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    assert known.note_layers(REGISTRY, LAYERS)
    assert left(known, LAYERS) == "serves layers only"
    assert left(known, Endpoint("layers.test", 444)) == ""
    assert left(known, REGISTRY) == ""
    timer.wait(3599)
    assert not known.note_layers(REGISTRY, LAYERS), "no news, but said again"
    timer.wait(3599)
    assert left(known, LAYERS)
    timer.wait(2)
    assert left(known, LAYERS) == ""


@pytest.mark.parametrize("endpoint", [REGISTRY, Endpoint("reg.test", 8443)])
def test_a_registry_that_names_itself_is_no_host_of_layers(
    endpoint: Endpoint, timer: FakeTimer
) -> None:
    known = interception(timer=timer)
    assert not known.note_layers(REGISTRY, endpoint)
    assert left(known, endpoint) == ""


def test_who_serves_manifests_stays_a_registry(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_layers(REGISTRY, LAYERS)
    known.note_manifest(LAYERS, ADDRESS)
    assert left(known, LAYERS) == ""
    assert not known.note_layers(REGISTRY, LAYERS)
    assert left(known, LAYERS) == ""


@pytest.mark.parametrize(
    ("registries", "news"),
    [
        ((LAYERS.host,), False),
        (("layers.test:443",), False),
        (("*.test",), True),
        (("layers.test:5000", "*"), True),
    ],
)
def test_a_redirect_to_a_registry_that_is_named_teaches_nothing(
    registries: Sequence[str], news: bool, timer: FakeTimer
) -> None:
    """Whoever is named outright is a registry, whatever another one says."""
    known = interception(*registries, timer=timer)
    assert known.note_layers(REGISTRY, LAYERS) is news
    assert left(known, LAYERS) == ("serves layers only" if news else "")


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


def test_addresses_of_what_is_not_named_may_pass_unless_a_registry_is_there(
    timer: FakeTimer,
) -> None:
    known = interception("reg.test", timer=timer)
    foreign = Endpoint("backup.test", 443)
    assert known.may_pass(foreign, ADDRESS)
    assert not known.may_pass(REGISTRY, ADDRESS)
    known.note_address(ADDRESS)
    assert not known.may_pass(foreign, ADDRESS)
    assert known.may_pass(foreign, OTHER)


def test_registries_named_without_wildcards(timer: FakeTimer) -> None:
    known = interception("reg.test", "*.azure.test", "reg.test:5000", timer=timer)
    assert known.named == (REGISTRY, Endpoint("reg.test", 5000))
    assert interception(timer=timer).named == ()


@pytest.mark.parametrize("owner", [ROOT, None])
def test_a_client_without_trust_gets_through_for_five_minutes(
    owner: int | None, timer: FakeTimer
) -> None:
    known = interception(timer=timer)
    assert known.note_distrust(REGISTRY, owner)
    assert left(known, REGISTRY, USER) == "a client does not trust the proxy's CA"
    assert left(known, LAYERS) == ""
    timer.wait(299)
    assert left(known, REGISTRY)
    timer.wait(2)
    assert left(known, REGISTRY) == ""


@pytest.mark.parametrize("owner", [ROOT, None])
def test_a_client_without_trust_takes_nothing_from_others(
    owner: int | None, timer: FakeTimer
) -> None:
    known = interception(timer=timer)
    known.note_trust(REGISTRY)
    assert not known.note_distrust(REGISTRY, owner)
    assert left(known, REGISTRY, owner) == ""
    assert known.note_distrust(Endpoint("reg.test", 5000), owner), "that was another port"


def test_a_user_without_trust_is_left_alone_though_others_trust(timer: FakeTimer) -> None:
    """A rootless runtime has a trust of its own: root's does not help it."""
    known = interception(timer=timer)
    known.note_trust(REGISTRY)
    assert known.note_distrust(REGISTRY, USER)
    assert left(known, REGISTRY, USER) == "its user does not trust the proxy's CA"
    for owner in (ROOT, USER + 1, None):
        assert left(known, REGISTRY, owner) == ""
    assert left(known, LAYERS, USER) == ""
    timer.wait(301)
    assert left(known, REGISTRY, USER) == ""


def test_a_user_that_is_refused_again_and_again_stays_left_alone(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    for _ in range(3):
        assert known.note_distrust(REGISTRY, USER)
        timer.wait(299)
        assert left(known, REGISTRY, USER)


@pytest.mark.parametrize(
    ("note", "reason", "first"),
    [
        (Interception.note_broken, "TLS with the registry failed", 300),
        (Interception.note_silence, "the registry gave no answer", 20),
    ],
)
def test_what_failed_is_left_twice_as_long_each_time_up_to_a_day(
    note: Callable[[Interception, Endpoint], float], reason: str, first: int, timer: FakeTimer
) -> None:
    known = interception(timer=timer)
    known.note_trust(REGISTRY)
    expected: float = first
    for _ in range(40):
        assert note(known, REGISTRY) == expected
        assert (left(known, REGISTRY), known.is_left(REGISTRY)) == (reason, True)
        timer.wait(expected - 1)
        assert left(known, REGISTRY) == reason
        timer.wait(2)
        assert (left(known, REGISTRY), known.is_left(REGISTRY)) == ("", False)
        expected = min(2 * expected, DAY)
    assert expected == DAY
    assert note(known, LAYERS) == first, "another's failures are its own"


def test_an_answer_ends_the_row_of_failures_and_not_what_was_promised(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    assert [known.note_silence(REGISTRY) for _ in range(3)] == [20, 40, 80]
    known.note_answer(REGISTRY)
    known.note_answer(LAYERS)
    assert known.is_left(REGISTRY), "a connection from before may have answered"
    assert known.note_silence(REGISTRY) == 20
    assert known.note_broken(REGISTRY) == 600, "both are failures in a row"


@pytest.mark.parametrize("early", [0.25 * step for step in range(12)])
def test_what_is_left_alone_may_end_amid_the_question(early: float, timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_broken(REGISTRY)
    timer.wait(300 - early)
    timer.look = 0.5
    assert left(known, REGISTRY) in ("TLS with the registry failed", "")


def test_what_is_known_is_bounded(timer: FakeTimer) -> None:
    known = interception(timer=timer)
    known.note_layers(REGISTRY, LAYERS)
    known.note_broken(REGISTRY)
    for number in range(4096):
        known.note_layers(REGISTRY, Endpoint(f"{number}.test", 443))
        known.note_broken(Endpoint(f"{number}.test", 443))
    assert left(known, LAYERS) == ""
    assert left(known, REGISTRY) == ""
    assert left(known, Endpoint("4095.test", 443)) == "serves layers only"
