import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.login_throttle import (
    FREE_TRIES,
    FREE_TRIES_OF_PLACE,
    FREE_TRIES_OF_SITE,
    MAX_WAIT,
    LoginThrottle,
)
from metahub_addon.places import place_of
from support.fake_timer import FakeTimer


def test_each_wrong_password_of_a_user_doubles_the_wait() -> None:
    timer = FakeTimer()
    throttle = LoginThrottle(timer)
    waits = []
    for _ in range(12):
        waits.append(throttle.wait("192.0.2.1", "a"))
        timer.wait(waits[-1])
        assert throttle.wait("192.0.2.1", "a") == 0
        throttle.failed("192.0.2.1", "a")
    assert waits == [0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_user_and_one_address_do_not_slow_the_others() -> None:
    throttle = LoginThrottle(FakeTimer())
    for _ in range(FREE_TRIES):
        throttle.failed("192.0.2.1", "a")
    assert throttle.wait("192.0.2.1", "a") == 1
    assert throttle.wait("192.0.2.1", "b") == 0
    assert throttle.wait("192.0.2.2", "a") == 0


def test_one_password_for_many_users_is_slowed_too() -> None:
    timer = FakeTimer()
    throttle = LoginThrottle(timer)
    for at in range(FREE_TRIES_OF_PLACE):
        assert throttle.wait("192.0.2.1", f"u{at}") == 0
        throttle.failed("192.0.2.1", f"u{at}")
    assert throttle.wait("192.0.2.1", "new") == 1
    timer.wait(1)
    throttle.failed("192.0.2.1", "new")
    assert throttle.wait("192.0.2.1", "newer") == 2


def test_the_places_of_a_site_are_counted_together() -> None:
    timer = FakeTimer()
    throttle = LoginThrottle(timer)
    for at in range(FREE_TRIES_OF_SITE):
        address = f"2001:db8:1:{at:x}::1"
        assert throttle.wait(address, "a") == 0
        throttle.failed(address, "a")
    assert throttle.wait("2001:db8:1:ffff::1", "b") == 1
    assert throttle.wait("2001:db8:2::1", "a") == 0
    timer.wait(1)
    throttle.failed("2001:db8:1:ffff::1", "b")
    assert throttle.wait("2001:db8:1:fffe::1", "c") == 2


def test_who_begins_to_wait_is_named_once() -> None:
    throttle = LoginThrottle(FakeTimer())
    named = [throttle.failed("192.0.2.1", "a") for _ in range(FREE_TRIES_OF_PLACE + 9)]
    assert {at: whom for at, whom in enumerate(named, 1) if whom} == {
        FREE_TRIES: ["a from 192.0.2.1"],
        FREE_TRIES_OF_PLACE: ["192.0.2.1"],
    }
    named = [throttle.failed(f"2001:db8:1:{at:x}::1", "a") for at in range(FREE_TRIES_OF_SITE)]
    assert [whom for whom in named if whom] == [["2001:db8:1::/48"]]


def test_a_right_password_frees_the_user_but_not_the_address() -> None:
    throttle = LoginThrottle(FakeTimer())
    for _ in range(FREE_TRIES_OF_PLACE - 1):
        throttle.failed("192.0.2.1", "a")
    throttle.succeeded("192.0.2.1", "a")
    throttle.succeeded("192.0.2.1", "never failed")
    assert throttle.wait("192.0.2.1", "a") == 0
    throttle.failed("192.0.2.1", "b")
    assert throttle.wait("192.0.2.1", "a") == 1


def test_failures_are_forgotten_after_a_quarter_of_an_hour() -> None:
    timer = FakeTimer()
    throttle = LoginThrottle(timer)
    for _ in range(10):
        throttle.failed("192.0.2.1", "a")
    timer.wait(901)
    throttle.failed("192.0.2.1", "a")
    assert throttle.wait("192.0.2.1", "a") == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("", "", True),
        ("socket", "socket", True),
        ("socket", "other", False),
    ],
)
def test_what_counts_as_one_address(one: str, other: str, same: bool) -> None:
    throttle = LoginThrottle(FakeTimer())
    for _ in range(FREE_TRIES):
        throttle.failed(one, "a")
    assert (throttle.wait(other, "a") > 0) is same
    assert (place_of(one) == place_of(other)) is same


def test_memory_is_bounded_whatever_users_are_called() -> None:
    throttle = LoginThrottle(FakeTimer())
    for at in range(40000):
        throttle.failed("192.0.2.1", f"{at}")
    assert len(throttle._users) == 16384
    # The address is still slow, though its first users are forgotten.
    assert throttle.wait("192.0.2.1", "0") == MAX_WAIT
    for at in range(FREE_TRIES):
        throttle.failed("192.0.2.2", "x" * 100_000 + str(at))
    assert throttle.wait("192.0.2.2", "x" * 100_001) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from("12"), st.sampled_from("ab"), st.sampled_from(["f", "s", "t"]))
    )
)
def test_a_wait_has_bounds_and_ends_by_itself(steps: list[tuple[str, str, str]]) -> None:
    timer = FakeTimer()
    throttle = LoginThrottle(timer)
    for address, user, step in steps:
        if step == "f":
            throttle.failed(address, user)
        elif step == "s":
            throttle.succeeded(address, user)
        else:
            timer.wait(7)
        waiting = throttle.wait(address, user)
        assert 0 <= waiting <= MAX_WAIT
    timer.wait(MAX_WAIT)
    assert all(throttle.wait(address, user) == 0 for address in "12" for user in "ab")
