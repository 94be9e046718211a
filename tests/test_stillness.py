from metahub_addon.stillness import Stillness
from support.fake_timer import FakeTimer


def test_a_file_rests_when_it_was_seen_in_one_state_for_long_enough() -> None:
    timer = FakeTimer()
    stillness = Stillness(1, timer)
    assert not stillness.rests("half")
    timer.wait(0.9)
    assert not stillness.rests("half")
    assert not stillness.rests("whole")
    timer.wait(0.9)
    assert not stillness.rests("whole")
    timer.wait(0.2)
    assert stillness.rests("whole")
    assert not stillness.rests("half")


def test_without_patience() -> None:
    assert Stillness(0, FakeTimer()).rests("half")
