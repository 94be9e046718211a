"""With names that the C library knows without asking anybody."""

import errno
import socket

import httpx
import pytest

from metahub_addon.led_places import address_of, check_answer, check_name
from metahub_addon.upstream import FetchError
from support.embedded_registry import EmbeddedRegistry, serving


@pytest.mark.parametrize(
    ("leader", "url", "is_fine"),
    [
        ("8.8.8.8", "https://9.9.9.9/token", True),
        ("8.8.8.8", "https://localhost/token", False),
        ("8.8.8.8", "https://0x7f.1/token", False),
        ("8.8.8.8", "https://[::1]:1/token", False),
        ("10.0.0.1", "https://10.0.0.2/token", True),
        ("10.0.0.1", "https://localhost/token", False),
        ("10.0.0.1", "http://169.254.169.254/latest", False),
        ("127.0.0.1", "https://localhost/token", True),
        ("", "https://10.0.0.2/token", False),
    ],
)
async def test_places(leader: str, url: str, is_fine: bool) -> None:
    place = httpx.URL(url)
    if is_fine:
        await check_name(leader, place)
        return
    with pytest.raises(FetchError, match=r"^sent to \S+, which is local to the hub$"):
        await check_name(leader, place)


async def test_a_name_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match="no such name"):
        await check_name("8.8.8.8", httpx.URL("https://nobody.example/"))


def test_what_was_connected_to() -> None:
    place = httpx.URL("https://a.example/")
    check_answer("8.8.8.8", place, "9.9.9.9")
    check_answer("10.0.0.1", place, "10.0.0.2")
    with pytest.raises(FetchError, match=r"sent to a\.example, which is local"):
        check_answer("8.8.8.8", place, "10.0.0.2")
    with pytest.raises(FetchError, match=r"sent to a\.example, which has hung up"):
        check_answer("8.8.8.8", place, "")


async def test_the_address_of_an_answer() -> None:
    with serving(EmbeddedRegistry()) as registry:
        async with httpx.AsyncClient(trust_env=False) as client:
            url = f"http://localhost:{registry.port}/v2/"
            async with client.stream("GET", url) as answer:
                assert address_of(answer) == "127.0.0.1"
    assert address_of(httpx.Response(200)) == ""


def test_the_address_of_an_answer_whose_server_has_gone() -> None:
    class Gone:
        def get_extra_info(self, name: str) -> None:
            raise OSError(errno.ENOTCONN, name)

    assert address_of(httpx.Response(200, extensions={"network_stream": Gone()})) == ""
