from metahub_addon.credentials import Credentials


def test_nothing_of_credentials_shows() -> None:
    shown = repr(Credentials(username="puller", password="hunter2", identity_token="t0ken"))
    assert shown == "Credentials()"


def test_credentials_are_compared_by_all_that_they_are() -> None:
    assert Credentials(username="a") == Credentials(username="a")
    assert Credentials(username="a", password="x") != Credentials(username="a", password="y")
    assert Credentials(identity_token="a") != Credentials(password="a")
