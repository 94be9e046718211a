import pytest
from hypothesis import given
from hypothesis import strategies as st

from metahub_addon.web_listen import InvalidListen, Listen, parse_listen


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:9090", "127.0.0.1", 9090),
        (" localhost:1 ", "localhost", 1),
        ("[::1]:65535", "::1", 65535),
        (":9090", "", 9090),
        ("[::]:80", "::", 80),
    ],
)
def test_good(text: str, host: str, port: int) -> None:
    assert parse_listen(text) == Listen(host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "9090", "localhost", "localhost:", "localhost:0", "localhost:65536", "localhost:-1"),
        *("localhost:http", "localhost:٣", "::1:9090", "[::1", "a b:1", "http://a:1", "a@b:1"),
        *("a\x00b:1", "a..b:1", "[]:1", "[localhost]:1", "-a:1", "ä:1", "a" * 64 + ":1"),
    ],
)
def test_bad(text: str) -> None:
    with pytest.raises(InvalidListen):
        parse_listen(text)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        listen = parse_listen(text)
    except InvalidListen:
        return
    assert 0 < listen.port < 65536
