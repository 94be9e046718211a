"""A client's TLS through a proxy, and ports for a test."""

import socket
import ssl
from pathlib import Path


def trusting(authority: Path) -> ssl.SSLContext:
    """A client that trusts one authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authority)
    return context


def issuer_through(proxy_port: int, host: str, port: int, authority: Path) -> str:
    """Who has issued the certificate that a client gets through a proxy (CONNECT).

    Raises ssl.SSLCertVerificationError if that is not the one authority that it trusts.
    """
    with socket.create_connection(("127.0.0.1", proxy_port), 20) as connection:
        connection.sendall(
            f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
        )
        established = connection.recv(4096)
        assert b" 200 " in established, established
        with trusting(authority).wrap_socket(connection, server_hostname=host) as secure:
            certificate = secure.getpeercert()
    assert certificate
    issuer = dict(pair for part in certificate["issuer"] for pair in part)  # type: ignore[misc]
    return str(issuer["commonName"])


def free_ports(count: int) -> int:
    """The first of some ports in a row that nobody listens on, off those that clients get."""
    for base in range(20000, 30000, 97):
        taken = []
        try:
            for port in range(base, base + count):
                taken.append(socket.create_server(("127.0.0.1", port)))
        except OSError:
            continue
        finally:
            for listener in taken:
                listener.close()
        return base
    raise AssertionError("no ports are free")
