from pathlib import Path

from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.addons.upstream_auth import UpstreamAuth
from mitmproxy.test import taddons

from metahub_addon.tls_options import TLS_OPTIONS, tls_settings
from metahub_addon.tls_settings import TlsSettings


class TlsOptions(TlsConfig):
    """Declares mitmproxy's options for TLS, and makes no CA."""

    def configure(self, updated: set[str]) -> None:
        pass


async def test_the_options_as_they_are(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    with taddons.context(TlsOptions(), UpstreamAuth()) as context:
        assert set(context.options.keys()) >= TLS_OPTIONS
        before = tls_settings()
        assert (before.insecure, before.trusted_ca) == (False, None)
        context.options.update(
            ssl_insecure=True,
            ssl_verify_upstream_trusted_ca=str(authority),
            ssl_verify_upstream_trusted_confdir=str(tmp_path),
            client_certs=str(tmp_path),
            ciphers_server="AES",
            tls_version_server_min="TLS1_2",
            tls_version_server_max="TLS1_3",
        )
        assert tls_settings() == TlsSettings(
            insecure=True,
            trusted_ca=str(authority),
            trusted_confdir=str(tmp_path),
            client_certs=str(tmp_path),
            ciphers="AES",
            version_min="TLS1_2",
            version_max="TLS1_3",
        )
