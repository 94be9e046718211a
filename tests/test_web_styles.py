from metahub_addon.web_styles import style_version
from page.client import visiting
from page.fake_hub import FakeHub


async def test_styles() -> None:
    async with visiting(FakeHub()) as client:
        style = await client.get("/style.css")
        icon = await client.get("/icon.svg")
        again = await client.get("/style.css", headers={"If-None-Match": style.headers["ETag"]})
        other = await client.get("/style.css/../base.html")
    assert style.headers["Content-Type"].startswith("text/css")
    assert icon.headers["Content-Type"].startswith("image/svg+xml")
    assert again.status_code == 304
    assert other.status_code == 404


def test_the_style_has_a_version() -> None:
    assert len(style_version()) == 16
