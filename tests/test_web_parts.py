from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from metahub_addon.metrics import Metrics
from metahub_addon.web_parts import WebParts
from metahub_addon.web_secret import SecretError
from page.fake_hub import FakeHub


def make_parts(hub: FakeHub | None) -> WebParts:
    return WebParts(hub=lambda: hub, is_ready=str, metrics=Metrics("0", Counter(), ()))


def test_a_node_needs_no_secret() -> None:
    make_parts(None).check()


def test_the_file_that_the_hub_names(tmp_path: Path) -> None:
    hub = FakeHub()
    hub.config = replace(hub.config, secret_file=str(tmp_path / "secret"))
    one, other = make_parts(hub), make_parts(hub)
    with pytest.raises(SecretError):
        one.check()
    (tmp_path / "secret").write_bytes(b"x" * 32)
    account = hub.config.accounts["qnib"]
    assert other.sessions.account(one.sessions.begin(account), hub.config.accounts) is account
