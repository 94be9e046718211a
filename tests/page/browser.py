"""The page as a person meets it: Debian's chromium, driven at a base URL."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from selenium.common.exceptions import WebDriverException
from selenium.webdriver import Chrome, ChromeOptions, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait
from selenium_axe_python.axe import Axe

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
WIDE, PHONE = 1200, 390
_SECONDS = 20
# What the driver says while one page takes the place of another.
_ON_THE_WAY = (WebDriverException,)
_ARGUMENTS = (
    *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--disable-extensions", "--disable-gpu", "--lang=en", "--force-device-scale-factor=1"),
    # Nothing but loopback has a name or is reached.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)
# The rules of WCAG 2.0 to 2.2, A and AA, and axe's best practices.
_TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@dataclass(frozen=True)
class Look:
    """How a page is looked at: width in pixels, light or dark."""

    width: int = WIDE
    scheme: str = "light"

    def __str__(self) -> str:
        return f"{self.width}-{self.scheme}"


LOOKS = tuple(Look(width, scheme) for width in (WIDE, PHONE) for scheme in ("light", "dark"))


@contextmanager
def chromium(*arguments: str) -> Iterator[Chrome]:
    """A browser with a fresh profile."""
    with TemporaryDirectory(prefix="metahub-chromium-") as profile:
        options = ChromeOptions()
        options.binary_location = str(CHROMIUM)
        for argument in (*_ARGUMENTS, f"--user-data-dir={profile}", *arguments):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = Chrome(options=options, service=Service(str(DRIVER)))
        try:
            driver.set_page_load_timeout(_SECONDS)
            driver.set_script_timeout(60)
            yield driver
        finally:
            driver.quit()


class Visitor:
    """Somebody at a hub's page."""

    def __init__(self, driver: Chrome, url: str) -> None:
        self.driver = driver
        self.url = url
        self.driver.delete_all_cookies()
        self.console()  # what others left there

    # What is done

    def open(self, path: str = "") -> None:
        self.driver.get(self.url + path)

    def log_in(self, user: str, password: str) -> None:
        self.open("login")
        self.write("user", user)
        self.write("password", password)
        self.press("Log in")

    def log_out(self) -> None:
        self.press("Log out")

    def ask(self, image: str) -> None:
        """Ask for an image's matrix, in the box that every page has."""
        self.write("image", image)
        self.press("Show")

    def add_type(self, name: str, features: Sequence[str], platform: str = "linux/amd64") -> None:
        self.open()
        self.follow("Add a machine type")
        self.write("name", name)
        self.write("platform", platform)
        self.write("features", "\n".join(features))
        self.press("Add")

    def change_type(self, name: str, features: Sequence[str]) -> None:
        self.open()
        self.follow(f"Change {name}")
        self.write("features", "\n".join(features))
        self.press("Save")

    def remove_type(self, name: str) -> None:
        self.open()
        self.follow(f"Remove {name}")
        self.press(f"Remove {name}")

    def write(self, field: str, text: str) -> None:
        element = self.driver.find_element(By.ID, field)
        element.clear()
        element.send_keys(text)

    def choose(self, field: str, option: str) -> None:
        Select(self.driver.find_element(By.ID, field)).select_by_visible_text(option)

    def press(self, name: str) -> None:
        """Press the button with an accessible name."""
        self._click(self._named("button", name))

    def follow(self, name: str) -> None:
        """Follow the link with an accessible name."""
        self._click(self._named("a", name))

    def unfold(self, name: str) -> None:
        """Open what is folded behind a text that begins so."""
        for summary in self.driver.find_elements(By.TAG_NAME, "summary"):
            if summary.text.startswith(name):
                summary.click()
                return
        raise AssertionError(f"nothing is folded behind {name!r} in:\n{self.text}")

    def wait_for(self, heading: str) -> None:
        """Wait until the page has a heading."""
        WebDriverWait(self.driver, _SECONDS, ignored_exceptions=_ON_THE_WAY).until(
            lambda _: self.heading == heading
        )

    def type_keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        ActionChains(self.driver).send_keys(*keys).perform()

    def tab_to(self, name: str, steps: int = 40) -> None:
        """Press Tab until the focus is on what has an accessible name; fails after some."""
        passed = []
        for _ in range(steps):
            self.type_keys(Keys.TAB)
            focused = self.driver.switch_to.active_element
            passed.append(focused.accessible_name)
            if focused.accessible_name == name:
                assert self._has_outline(focused), f"{name}: its focus is not to be seen"
                return
        raise AssertionError(f"no way by Tab to {name!r}: {passed}")

    def quoted(self, text: str) -> str:
        """A text as it stands in a query."""
        return quote(text, safe="")

    # What is seen

    @property
    def heading(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "h1").text

    @property
    def text(self) -> str:
        return self.driver.find_element(By.TAG_NAME, "body").text

    @property
    def location(self) -> str:
        return self.driver.current_url

    @property
    def focused(self) -> str:
        """The accessible name of what has the focus; else its role."""
        element = self.driver.switch_to.active_element
        return element.accessible_name or element.aria_role

    @property
    def source_text(self) -> str:
        """All text and all values of fields, also where it can't be seen."""
        return str(
            self.driver.execute_script(
                "return document.body.textContent + "
                "[...document.querySelectorAll('input')].map(one => one.value).join(' ')"
            )
        )

    @property
    def runs_no_script(self) -> bool:
        """True if no element of the page is a script, an image or has a handler."""
        return bool(
            self.driver.execute_script(
                "return ![...document.querySelectorAll('*')].some(one => "
                "['SCRIPT', 'IMG'].includes(one.tagName) || "
                "[...one.attributes].some(own => own.name.startsWith('on')))"
            )
        )

    @property
    def paper(self) -> str:
        """The background's colour."""
        script = "return getComputedStyle(document.body).backgroundColor"
        return str(self.driver.execute_script(script))

    def said(self, role: str) -> str:
        """What a status or an alert says; empty: there is none."""
        return "\n".join(
            one.text for one in self.driver.find_elements(By.CSS_SELECTOR, f"[role={role}]")
        )

    def table(self, caption: str) -> list[Mapping[str, str]]:
        """The rows of the table whose caption starts so, by the columns' headings."""
        for table in self.driver.find_elements(By.TAG_NAME, "table"):
            if table.find_element(By.TAG_NAME, "caption").text.startswith(caption):
                heads = [one.text for one in table.find_elements(By.CSS_SELECTOR, "thead th")]
                rows = table.find_elements(By.CSS_SELECTOR, "tbody tr")
                cells = [row.find_elements(By.CSS_SELECTOR, "th, td") for row in rows]
                return [dict(zip(heads, (one.text for one in row), strict=True)) for row in cells]
        raise AssertionError(f"no table {caption!r} in:\n{self.text}")

    @property
    def type_names(self) -> list[str]:
        self.open()
        caption = self.driver.find_element(By.TAG_NAME, "caption").text
        return [row["Machine type"] for row in self.table(caption)]

    def console(self) -> list[str]:
        """What the browser complained of since the last look, but for the pages' statuses."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]
        texts = [str(entry["message"]) for entry in entries]
        return [text for text in texts if "the server responded with a status of" not in text]

    # How it is seen

    def look(self, look: Look) -> None:
        """Have the window so wide, and the system light or dark."""
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=look.width,
            height=900,
            deviceScaleFactor=1,
            mobile=look.width == PHONE,
        )
        feature = {"name": "prefers-color-scheme", "value": look.scheme}
        self._tell("Emulation.setEmulatedMedia", features=[feature])

    def violations(self) -> list[str]:
        """Which rules of accessibility the page breaks, in each look, and where."""
        found = []
        for look in LOOKS:
            self.look(look)
            axe = Axe(self.driver)
            axe.inject()  # type: ignore[no-untyped-call]
            options = json.dumps({"runOnly": {"type": "tag", "values": _TAGS}})
            result: Any = axe.run(options=options)  # type: ignore[arg-type]
            assert result["passes"], "axe judged nothing"
            found += [
                f"{look} {one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}"
                for one in result["violations"]
            ]
        self.look(LOOKS[0])
        return found

    def picture(self, path: Path, look: Look) -> None:
        """Save the whole page as a PNG."""
        self.look(look)
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        self._tell(
            "Emulation.setDeviceMetricsOverride",
            width=look.width,
            height=max(int(height), 480),
            deviceScaleFactor=1,
            mobile=look.width == PHONE,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(str(path))
        self.look(LOOKS[0])

    def overflow(self) -> int:
        """By how many pixels the page as a whole is wider than a phone."""
        self.look(Look(PHONE))
        wide = self.driver.execute_script("return document.documentElement.scrollWidth")
        self.look(LOOKS[0])
        return int(wide) - PHONE

    def _tell(self, command: str, **parameters: object) -> None:
        self.driver.execute_cdp_cmd(command, parameters)

    def _named(self, tag: str, name: str) -> WebElement:
        elements = self.driver.find_elements(By.TAG_NAME, tag)
        found = [one for one in elements if one.accessible_name == name]
        assert found, f"no {tag} {name!r}: {[one.accessible_name for one in elements]}"
        return found[0]

    def _click(self, element: WebElement) -> None:
        """Click, and wait until another page has taken this one's place."""
        self.driver.execute_script("window.isOld = true")
        element.click()
        fresh = "return !window.isOld && document.readyState === 'complete'"
        WebDriverWait(self.driver, _SECONDS, ignored_exceptions=_ON_THE_WAY).until(
            lambda _: self.driver.execute_script(fresh)
        )

    def _has_outline(self, element: WebElement) -> bool:
        style = self.driver.execute_script("return getComputedStyle(arguments[0]).outline", element)
        return "none" not in style and "0px" not in style.split()
