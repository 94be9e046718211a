from metahub_addon.match import Match


def test_holds_only_with_a_distance() -> None:
    assert not Match("no").holds
    assert Match("yes", (0,)).holds
    assert Match("yes", ()).holds
