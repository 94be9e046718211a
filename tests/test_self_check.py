"""With mitmproxy's own addon for TLS, and a CA of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from mitmproxy import ctx, tls
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.test import taddons

from metahub_addon import self_check
from metahub_addon.self_check import UnwellError, check_handshake
from support.certificates import make_authority
from support.flows import ProxyOptions


class Mute(TlsConfig):
    """Has no answer for clients."""

    name = "tlsconfig"

    def tls_start_client(self, tls_start: tls.TlsData) -> None:
        pass


@pytest.fixture(scope="session")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("self-check")


# taddons wants a running event loop: so all of these are asynchronous.
@pytest.fixture
async def tlsconfig(confdir: Path) -> AsyncIterator[TlsConfig]:
    made = TlsConfig()
    with taddons.context(ProxyOptions(), made) as context:
        context.configure(made, confdir=str(confdir))
        yield made


async def test_a_proxy_that_can_answer_is_well(tlsconfig: TlsConfig) -> None:
    for _ in range(2):
        check_handshake()


async def test_a_key_that_is_not_the_cas(tlsconfig: TlsConfig) -> None:
    tlsconfig.certstore.default_privatekey = rsa.generate_private_key(65537, 2048)
    with pytest.raises(UnwellError, match="Error: "):
        check_handshake()


async def test_without_mitmproxys_addon_for_tls() -> None:
    with (
        taddons.context(ProxyOptions()),
        pytest.raises(UnwellError, match="mitmproxy has no addon for TLS"),
    ):
        check_handshake()


async def test_no_answer_at_all(confdir: Path) -> None:
    mute = Mute()
    with taddons.context(ProxyOptions(), mute) as context:
        context.configure(mute, confdir=str(confdir))
        with pytest.raises(UnwellError, match="no TLS context for clients"):
            check_handshake()


async def test_a_handshake_without_end(
    tlsconfig: TlsConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(self_check, "_MOST_TURNS", 1)
    with pytest.raises(UnwellError, match="does not end"):
        check_handshake()


async def test_a_certificate_of_the_operators_own(tlsconfig: TlsConfig, tmp_path: Path) -> None:
    _, certificate, key = make_authority(tmp_path, "127.0.0.1", "hub.test")
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + certificate.read_bytes())
    ctx.options.update(certs=[f"*={both}"])
    check_handshake()
