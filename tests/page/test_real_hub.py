"""The page of a real hub: what an operator does there, and the pull that follows."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome

from integration.test_hub import FAMILY, NAME, RUNTIME, basic, hashed
from page.browser import Look, Visitor
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import Mitmdump, free_port, mitmdump

pytestmark = pytest.mark.real
PASSWORD = "right"


@dataclass(frozen=True)
class RealHub:
    """A hub with its page, and the file behind both."""

    hub: Mitmdump
    page: str
    file: Path

    def pull(self, login: str) -> httpx.Response:
        """Ask for the image as docker does."""
        return httpx.get(
            f"http://127.0.0.1:{self.hub.ports[0]}/v2/{NAME}/manifests/latest",
            headers={**RUNTIME, "Authorization": basic(login, PASSWORD)},
            trust_env=False,
        )


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    folder = tmp_path_factory.mktemp("hub")
    file = folder / "machine-types.yaml"
    file.write_text(
        f"""# MetaHub's machine types.
types:
  - {{name: type1, features: [cpu:broadwell]}}
  - {{name: type2, features: [cpu:skylake]}}   # since 2019
  - {{name: type4, features: [cpu:broadwell, nvcap:5.2]}}
accounts:
  - {{user: qnib, password: "{hashed(PASSWORD)}", administrator: true}}
"""
    )
    registry, port = EmbeddedRegistry(), free_port()
    registry.put_family(NAME, "latest", FAMILY)
    with serving(registry):
        options = [f"metahub_machine_types={file}", f"metahub_web=127.0.0.1:{port}"]
        mode = f"reverse:http://127.0.0.1:{registry.port}"
        with mitmdump(folder, [mode], None, options) as hub:
            yield RealHub(hub, f"http://127.0.0.1:{port}/", file)


@pytest.fixture
def visitor(driver: Chrome, real: RealHub) -> Iterator[Visitor]:
    made = Visitor(driver, real.page)
    yield made
    assert made.console() == [], "the browser complains"


def keep(visitor: Visitor, name: str) -> None:
    """Keep a picture for the README, where one is wanted."""
    folder = os.environ.get("METAHUB_PICTURES")
    for scheme in ("light", "dark") if folder else ():
        visitor.picture(Path(str(folder)) / f"hub-{name}-{scheme}.png", Look(scheme=scheme))


def test_an_operators_morning(real: RealHub, visitor: Visitor) -> None:
    """Log in, see the types, ask for an image, add a type, and see the pull that follows."""
    visitor.log_in("qnib", PASSWORD)
    assert visitor.type_names == ["type1", "type2", "type4"]
    assert real.pull("qnib-type1").headers["X-Metahub-Features"] == "cpu:broadwell"
    assert real.pull("qnib-zen3").status_code == 403

    visitor.add_type("zen3", ["cpu:zen3"])
    assert visitor.type_names == ["type1", "type2", "type4", "zen3"]
    assert "# since 2019" in real.file.read_text()
    keep(visitor, "types")
    visitor.ask(f"{NAME}:latest")
    chosen = {row["Machine type"]: row["Built for"] for row in visitor.table("What each machine")}
    # A Zen 3 has every flag that broadwell needs, and not all of skylake's server cores.
    assert chosen["type2"] == "cpu:skylake"
    assert chosen["zen3"] == real.pull("qnib-zen3").headers["X-Metahub-Features"]
    assert visitor.violations() == []
    keep(visitor, "image")

    visitor.open("decisions")
    assert "zen3 by qnib" in visitor.text
    keep(visitor, "decisions")
    visitor.remove_type("zen3")
    assert real.pull("qnib-zen3").status_code == 403


def test_what_operators_watch(real: RealHub) -> None:
    assert real.pull("qnib-type1").status_code == 200
    metrics = httpx.get(f"{real.page}metrics", trust_env=False).text
    lines = [line for line in metrics.splitlines() if 'outcome="rewritten"' in line]
    assert lines
    assert float(lines[0].rpartition(" ")[2]) >= 1
    for probe in ("healthz", "readyz"):
        assert httpx.get(f"{real.page}{probe}", trust_env=False).status_code == 200
