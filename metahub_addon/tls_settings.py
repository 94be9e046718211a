"""How registries are verified by TLS, and what they are shown: mitmproxy's options for servers."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import certifi

_VERSIONS = {
    "TLS1": ssl.TLSVersion.TLSv1,
    "TLS1_1": ssl.TLSVersion.TLSv1_1,
    "TLS1_2": ssl.TLSVersion.TLSv1_2,
    "TLS1_3": ssl.TLSVersion.TLSv1_3,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """mitmproxy's options for TLS towards servers, by the same meaning."""

    insecure: bool = False
    trusted_ca: str | None = None
    trusted_confdir: str | None = None
    client_certs: str | None = None
    ciphers: str | None = None
    version_min: str = "TLS1_2"
    version_max: str = "UNBOUNDED"

    def client_cert(self, host: str) -> str | None:
        """The client certificate for a host: the one file, or the host's in the folder."""
        if not self.client_certs:
            return None
        path = Path(self.client_certs).expanduser()
        if path.is_file():
            return str(path)
        own = path / f"{host}.pem"
        return str(own) if own.is_file() else None

    def context(self, client_cert: str | None) -> ssl.SSLContext:
        """A context that verifies servers as mitmproxy does.

        Raises OSError (ssl.SSLError is one) if a certificate file cannot be loaded.
        """
        cafile = self.trusted_ca
        if self.trusted_ca is None and self.trusted_confdir is None:
            cafile = certifi.where()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = _VERSIONS.get(self.version_min, ssl.TLSVersion.MINIMUM_SUPPORTED)
        context.maximum_version = _VERSIONS.get(self.version_max, ssl.TLSVersion.MAXIMUM_SUPPORTED)
        context.load_verify_locations(cafile, self.trusted_confdir)
        if self.ciphers:
            context.set_ciphers(self.ciphers)
        if client_cert:
            context.load_cert_chain(client_cert)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
