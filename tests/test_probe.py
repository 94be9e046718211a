from metahub_addon.probe import Absent, ProbeError, names_or_none, read_or_empty
from support.fake_host import FakeHost


def test_what_cannot_be_read_is_empty() -> None:
    host = FakeHost(files={"/a/b": " text\n", "/a/c": ProbeError("denied")})
    assert read_or_empty(host, "/a/b") == "text"
    assert read_or_empty(host, "/a/c") == ""
    assert read_or_empty(host, "/a/d") == ""
    assert names_or_none(host, "/a") == ("b", "c")
    assert names_or_none(host, "/z") == ()
    assert issubclass(Absent, ProbeError)
