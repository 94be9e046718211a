"""The installer's package, and this folder's fake node, on the path."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from fake_node import FakeNode, make_node


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    """Debian with docker, containerd and podman, none of them running."""
    return make_node(tmp_path / "root")


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test loses its power."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)
    monkeypatch.setattr("installer.carry_out.SETTLE", 0.0)
