"""NFD's compatibility artifacts, opted into: a real mitmdump asks the registry for them."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from metahub_addon.nfd import ARTIFACT_TYPE, SPEC_TYPE
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import mitmdump

pytestmark = pytest.mark.real
SPEC = (
    "version: v1alpha1\ncompatibilities:\n- rules:\n  - name: kernel\n    matchFeatures:\n"
    "    - feature: kernel.version\n      matchExpressions:\n"
    "        major: {op: Gt, value: ['%s']}\n"
)
NAME = "qnib/bench"


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    registry = EmbeddedRegistry()
    registry.put_family(NAME, "list", [[], ["cpu:haswell"], ["cpu:broadwell"]])
    with serving(registry):
        yield registry


@pytest.mark.parametrize("lists_referrers", [True, False])
def test_an_image_that_does_not_fit_this_host_is_left_out(
    registry: EmbeddedRegistry, tmp_path: Path, lists_referrers: bool
) -> None:
    registry.lists_referrers = lists_referrers
    document = json.loads(registry.manifests[(NAME, "list")][1])
    generic, haswell, broadwell = (child["digest"] for child in document["manifests"])
    for child, least in ((broadwell, "99"), (haswell, "1")):
        spec = (SPEC % least).encode()
        registry.attach(NAME, child, ARTIFACT_TYPE, SPEC_TYPE, spec, "2026-01-01T00:00:00Z")
    profile = tmp_path / "profile.yaml"
    profile.write_text("machine_type: a\nplatform: linux/amd64\nfeatures: [cpu:broadwell]\n")
    modes = (f"reverse:http://127.0.0.1:{registry.port}",)
    agent = {"User-Agent": "docker/20.10.24"}
    with mitmdump(tmp_path, modes, profile, ["metahub_nfd=true"]) as proxy:
        url = f"http://127.0.0.1:{proxy.ports[0]}/v2/{NAME}/manifests/list"
        with httpx.Client(headers=agent, trust_env=False) as client:
            answers = [client.head(url), client.get(url)]
    assert [answer.headers["Docker-Content-Digest"] for answer in answers] == [haswell] * 2
    assert len(registry.asked("GET", "/blobs/")) == 2
    assert generic not in str(registry.asked("GET", "/referrers/"))
