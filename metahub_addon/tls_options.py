"""mitmproxy's options for TLS towards servers, as our own requests follow them."""

from mitmproxy import ctx

from metahub_addon.tls_settings import TlsSettings

TLS_OPTIONS = frozenset(
    {
        *("ssl_insecure", "ssl_verify_upstream_trusted_ca", "ssl_verify_upstream_trusted_confdir"),
        *("client_certs", "ciphers_server", "tls_version_server_min", "tls_version_server_max"),
        "upstream_auth",
    }
)


def tls_settings() -> TlsSettings:
    """The options as they are now."""
    options = ctx.options
    return TlsSettings(
        insecure=options.ssl_insecure,
        trusted_ca=options.ssl_verify_upstream_trusted_ca,
        trusted_confdir=options.ssl_verify_upstream_trusted_confdir,
        client_certs=options.client_certs,
        ciphers=options.ciphers_server,
        version_min=options.tls_version_server_min,
        version_max=options.tls_version_server_max,
    )
