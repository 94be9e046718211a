"""What the pages say. page/test_page.py has them in a real browser."""

from html.parser import HTMLParser

import httpx
import pytest

from page.client import visiting
from page.fake_hub import HOSTILE, PASSWORD, FakeHub, busy_hub, hostile_hub


class Elements(HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.text += " " if tag in ("li", "td", "th", "p") else ""

    def handle_data(self, data: str) -> None:
        self.text += data


def read(response: httpx.Response) -> str:
    """The page's text, with single spaces."""
    return " ".join(Elements(response.text).text.split())


@pytest.mark.parametrize(
    ("user", "password"),
    [("qnib", "my-own"), ("unknown", PASSWORD), ("", " "), (HOSTILE, HOSTILE)],
)
async def test_wrong_logins(user: str, password: str) -> None:
    async with visiting(FakeHub()) as client:
        response = await client.log_in(user, password)
    assert response.status_code == 401
    assert "wrong user or password" in response.text
    assert "metahub" not in client.cookies
    assert 'type="password" required' in response.text
    assert "my-own" not in response.text
    assert "<script" not in response.text


async def test_too_many_wrong_logins() -> None:
    async with visiting(FakeHub()) as client:
        for _ in range(3):
            response = await client.log_in(password="wrong")
    assert response.status_code == 429
    assert response.headers["Retry-After"] == "4"
    assert "too many wrong passwords" in response.text


async def test_a_login_by_which_one_is_in_already() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        response = await client.get("/login")
    assert (response.status_code, response.headers["Location"]) == (303, "./")


async def test_types_for_an_administrator() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        text = read(await client.get("/"))
    assert "5 machine types in the hub's file" in text
    assert "type4 linux/amd64 cpu:broadwell nvcap:5.2 qnib-type4 Change type4 Remove type4" in text
    assert "Add a machine type" in text


async def test_types_for_others() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in("ops")
        text = read(await client.get("/"))
        assert "1 machine type of ops" in text
        assert "type4 linux/amd64 cpu:broadwell nvcap:5.2 ops" in text
        assert "docker login --username ops registry" in text
        assert "type1" not in text
        assert "Add a machine type" not in text
        assert "Change" not in text


async def test_an_account_without_anything() -> None:
    async with visiting(busy_hub()) as client:
        await client.log_in("nobody")
        assert "There are no machine types yet." in read(await client.get("/"))
        assert "Nothing has been pulled" in read(await client.get("/decisions"))
        assert "Every machine got what it asked for" in read(await client.get("/missing"))


async def test_a_matrix() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        text = read(await client.get("/image?image=qnib/bench:latest"))
    assert "type4 1715609f7c74 cpu:broadwell nvcap:5.2 cpu:broadwell, nvcap:5.2: best of 3" in text
    assert "nvcap:5.2: this host has no nvcap" in text
    assert "9e3779b97f4a generic linux/amd64 nobody fits, behind in cpu" in text


@pytest.mark.parametrize("image", ["nope", HOSTILE, "x" * 600])
async def test_an_image_that_is_not_there(image: str) -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        response = await client.get("/image", params={"image": image})
    assert response.status_code == 404
    assert "the registry has no such image" in read(response)
    assert len(response.text) < 8000


async def test_no_image() -> None:
    async with visiting(FakeHub()) as client:
        await client.log_in()
        for path in ("/image", "/image?image="):
            response = await client.get(path)
            assert response.status_code == 200
            assert "Name an image above." in read(response)


async def test_decisions_and_gaps() -> None:
    async with visiting(busy_hub()) as client:
        await client.log_in()
        decisions = read(await client.get("/decisions"))
        gaps = read(await client.get("/missing"))
        client.cookies.clear()
        await client.log_in("ops")
        others = read(await client.get("/decisions"))
    assert "2025-11-20 10:13:18 qnib/gpu-only:v1 type4 by ops nothing fits" in decisions
    assert "10:06:05 qnib/bench:latest type1 by another account" in others
    assert "cpu:broadwell: best of 2 that fit, decided by cpu" in decisions
    assert "qnib/gpu-only:v1 type4 cpu:broadwell nvcap:5.2 2 2025-11-20 09:30" in gaps
    assert "qnib/bench:2019 type2 no such image 13" in gaps


@pytest.mark.parametrize(
    "path", ["/", "/decisions", "/missing", "/image", "/type", "/remove", "/nothing"]
)
async def test_hostile_texts_arrive_as_texts(path: str) -> None:
    hub = hostile_hub()
    params = {"image": HOSTILE} if path == "/image" else {"name": HOSTILE}
    async with visiting(hub) as client:
        await client.log_in(HOSTILE)
        response = await client.get(path, params=params)
    found = Elements(response.text)
    assert not {"script", "img"} & {*found.tags}
    assert not [name for name, _ in found.attributes if name.startswith("on")]
    if path != "/nothing":
        values = [value for _, value in found.attributes if value]
        assert HOSTILE in found.text
        assert "alert(1)" in "".join((found.text, *values))


@pytest.mark.parametrize("path", ["/", "/login", "/decisions", "/missing", "/image", "/type"])
async def test_no_script_and_nothing_from_elsewhere(path: str) -> None:
    async with visiting(busy_hub()) as client:
        if path != "/login":
            await client.log_in()
        found = Elements((await client.get(path)).text)
    assert "script" not in found.tags
    assert "style" not in dict(found.attributes)
    for name, value in found.attributes:
        assert not name.startswith("on")
        if name in ("href", "src", "action"):
            assert value
            assert not value.startswith(("/", "http"))
