"""One browser for all tests of the page, and a visitor with a fresh mind for each."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from page.browser import CHROMIUM, DRIVER, Visitor, chromium
from page.fake_hub import FakeHub, busy_hub, serving


@pytest.fixture(scope="session")
def driver() -> Iterator[Chrome]:
    missing = [str(path) for path in (CHROMIUM, DRIVER) if not path.exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not there (Debian: chromium, chromium-driver)")
    with chromium() as started:
        yield started


@pytest.fixture
def hub() -> FakeHub:
    return busy_hub()


@pytest.fixture
def visitor(driver: Chrome, hub: FakeHub) -> Iterator[Visitor]:
    """At the page of a hub that machines have pulled from."""
    with serving(hub) as url:
        made = Visitor(driver, url)
        yield made
        assert made.console() == [], "the browser complains"
