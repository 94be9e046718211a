"""How mitmdump starts with the addon: over TLS, without a profile, with a broken one."""

import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from integration.conftest import FAMILY, NAME
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import command_line, mitmdump

pytestmark = pytest.mark.real
URL = f"/v2/{NAME}/manifests/list"


def family(*features: list[str]) -> EmbeddedRegistry:
    registry = EmbeddedRegistry()
    registry.put_family(NAME, "list", features)
    return registry


@pytest.mark.parametrize("trusted", [True, False])
def test_sub_requests_trust_what_mitmproxy_trusts(tmp_path: Path, trusted: bool) -> None:
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "localhost")
    profile = tmp_path / "profile.yaml"
    profile.write_text("machine_type: t\nplatform: linux/amd64\nfeatures: [cpu:skylake]\n")
    options = [f"ssl_verify_upstream_trusted_ca={ca}"] if trusted else []
    with (
        serving(family(*FAMILY), (str(cert), str(key))) as registry,
        mitmdump(tmp_path / "proxy", ["regular"], profile, options) as proxy,
    ):
        context = ssl.create_default_context(cafile=str(tmp_path / "proxy/mitmproxy-ca-cert.pem"))
        with httpx.Client(
            proxy=f"http://127.0.0.1:{proxy.ports[0]}", verify=context, trust_env=False
        ) as client:
            answer = client.get(f"https://localhost:{registry.port}{URL}")
        if trusted:
            assert answer.headers["X-Metahub-Features"] == "cpu:skylake"
        else:
            assert answer.status_code == 502
            assert registry.seen == []


def test_without_a_profile_the_host_is_detected(tmp_path: Path) -> None:
    with serving(family([])) as registry:
        modes = [f"reverse:http://127.0.0.1:{registry.port}"]
        with mitmdump(tmp_path, modes) as proxy:
            proxy.wait_for("no metahub_profile: detected linux/")
            answer = httpx.head(f"http://127.0.0.1:{proxy.ports[0]}{URL}", trust_env=False)
            assert answer.headers["X-Metahub-Machine-Type"].startswith("detected-")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("machine_type: t\nfeatures: cpu:zen3\n", "profile.yaml:2: features: is not a list"),
        ("machine_type: t\nmatch: maybe\n", "profile.yaml:2: match: 'maybe' is unknown"),
        ("a: [\n", "profile.yaml:2: profile: is not YAML"),
    ],
)
def test_a_broken_profile_at_the_start_is_an_error(tmp_path: Path, text: str, says: str) -> None:
    profile = tmp_path / "profile.yaml"
    profile.write_text(text)
    command = [*command_line(tmp_path), "--set", f"metahub_profile={profile}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert says in done.stdout + done.stderr
