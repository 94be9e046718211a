"""By mitmproxy's options, and by what a context then does."""

import ssl
from pathlib import Path

from metahub_addon.tls_settings import TlsSettings
from support.certificates import make_authority


def test_client_certificates(tmp_path: Path) -> None:
    own = tmp_path / "r.test.pem"
    own.write_text("")
    assert TlsSettings().client_cert("r.test") is None
    assert TlsSettings(client_certs=str(own)).client_cert("other.test") == str(own)
    folder = TlsSettings(client_certs=str(tmp_path))
    assert folder.client_cert("r.test") == str(own)
    assert folder.client_cert("other.test") is None


def test_registries_are_verified_by_the_public_authorities() -> None:
    context = TlsSettings().context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) > 10


def test_an_authority_of_ones_own_stands_alone(tmp_path: Path) -> None:
    ca, certificate, key = make_authority(tmp_path, "127.0.0.1", "r.test")
    both = tmp_path / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    context = TlsSettings(trusted_ca=str(ca)).context(str(both))
    assert len(context.get_ca_certs()) == 1


def test_versions_ciphers_and_no_verification_at_all() -> None:
    settings = TlsSettings(
        insecure=True,
        ciphers="ECDHE-ECDSA-AES256-GCM-SHA384",
        version_min="UNBOUNDED",
        version_max="TLS1_2",
    )
    context = settings.context(None)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)
    assert context.minimum_version is ssl.TLSVersion.MINIMUM_SUPPORTED
    assert context.maximum_version is ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in names
    assert "ECDHE-RSA-AES128-GCM-SHA256" not in names
