"""A real hub, and clients that want to keep others from it. All loads are small."""

import os
import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import bcrypt
import httpx
import pytest

from integration.test_hub import FAMILY, NAME, RUNTIME, basic, hashed
from integration.test_hub_tls import client_certificate
from support import mitmdump as support_mitmdump
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import Mitmdump, command_line, mitmdump
from support.through import trusting

MANIFEST = f"/v2/{NAME}/manifests/latest"
# Half of them for clients, each of which takes two.
FILES, CLIENTS = 256, 64


@contextmanager
def running_hub(folder: Path) -> Iterator[Mitmdump]:
    """A hub that asks its clients for certificates, and a registry behind it."""
    _, fingerprint = client_certificate(folder, "gpu1.test")
    file = folder / "machine-types.yaml"
    file.write_text(
        f"""user: qnib
password: "{hashed("right")}"
types:
  - {{name: type1, features: [cpu:broadwell]}}
certificates:
  - {{fingerprint: "{fingerprint}", type: type1, account: qnib}}
"""
    )
    registry = EmbeddedRegistry()
    with serving(registry):
        registry.put_family(NAME, "latest", FAMILY)
        modes = [f"reverse:http://127.0.0.1:{registry.port}"]
        with mitmdump(folder, modes, None, [f"metahub_machine_types={file}"]) as hub:
            hub.wait_for("a hub for")
            yield hub


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def connect(hub: Mitmdump, first: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", hub.ports[0]), 60)
    made.sendall(first)
    return made


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the hub closes it."""
    got = b""
    with suppress(ConnectionError):
        while piece := connection.recv(65536):
            got += piece
    return got


def login() -> dict[str, str]:
    return {**RUNTIME, "Authorization": basic("qnib-type1", "right")}


def client_of(hub: Mitmdump, context: ssl.SSLContext | None = None) -> httpx.Client:
    scheme, verify = ("https", context) if context else ("http", True)
    base = f"{scheme}://127.0.0.1:{hub.ports[0]}"
    return httpx.Client(
        base_url=base,
        verify=verify,
        trust_env=False,
        headers=login(),
        limits=httpx.Limits(keepalive_expiry=None),
    )


def cpu_seconds(hub: Mitmdump) -> float:
    fields = Path(f"/proc/{hub.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_client_hello_without_an_end(hub: Mitmdump) -> None:
    """It took 16 seconds of the event loop (of CPU, so it is no matter how busy we are)."""
    body = b"\x01\xff\xff\xff" + bytes(350_000)
    before = cpu_seconds(hub)
    with connect(hub) as connection:
        with suppress(ConnectionError):
            connection.sendall(
                b"".join(b"\x16\x03\x01\x00\x01" + body[at : at + 1] for at in range(len(body)))
            )
        rest_of(connection)
    with client_of(hub) as client:
        assert client.get("/v2/").status_code == 200
    assert cpu_seconds(hub) - before < 5
    assert "Traceback" not in hub.wait_for("Cannot parse ClientHello: it is too long")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_that_resumes_its_session(hub: Mitmdump, version: ssl.TLSVersion) -> None:
    context = trusting(hub.log_file.parent / "mitmproxy-ca-cert.pem")
    context.maximum_version = version
    session: ssl.SSLSession | None = None
    for _ in range(3):
        plain = connect(hub)
        with context.wrap_socket(plain, server_hostname="127.0.0.1", session=session) as tls:
            head = "\r\n".join(f"{name}: {value}" for name, value in login().items())
            tls.sendall(f"GET /v2/ HTTP/1.1\r\nHost: hub.test\r\n{head}\r\n\r\n".encode())
            assert tls.recv(12) == b"HTTP/1.1 200"
            assert not tls.session_reused
            session = tls.session


@pytest.mark.parametrize(
    "request_head",
    [
        b"PUT /v2/ HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"1" * 5000 + b"\r\n\r\n",
        b"PUT /v2/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
    ],
    ids=["a length of 5000 digits", "trailers"],
)
def test_a_request_that_costs_no_page_of_the_log(hub: Mitmdump, request_head: bytes) -> None:
    before = len(hub.log)
    with connect(hub, request_head) as connection:
        rest_of(connection)
    with client_of(hub) as client:
        assert client.get("/v2/").status_code == 200
    said = hub.log[before:]
    assert "Traceback" not in said
    assert "mitmproxy has crashed" not in said


def test_silent_connections_are_closed(hub: Mitmdump) -> None:
    """After some 15 seconds (which this waits for); who has logged in may be silent."""
    silent = [b"", b"GET /v2/ HTTP/1.1\r\nHost: h\r\n", b"\x16\x03\x01\x02\x00\x01"]
    with ExitStack() as stack:
        client = stack.enter_context(client_of(hub))
        port = kept_port(client)
        for connection in [stack.enter_context(connect(hub, first)) for first in silent]:
            rest_of(connection)  # fails after a minute
        assert kept_port(client) == port


def kept_port(client: httpx.Client) -> int:
    """Pull, and tell by which of our ports."""
    answer = client.get(MANIFEST)
    assert answer.status_code == 200
    port: int = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
    return port


def test_more_connections_than_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub went round in its event loop, and wrote three megabytes a second."""
    limit = ["sh", "-c", f'ulimit -n {FILES} && exec "$0" "$@"']
    monkeypatch.setattr(
        support_mitmdump, "command_line", lambda confdir: limit + command_line(confdir)
    )
    with running_hub(tmp_path) as hub, ExitStack() as stack:
        kept = stack.enter_context(client_of(hub))
        port = kept_port(kept)
        silent = [stack.enter_context(connect(hub)) for _ in range(300)]
        for _ in range(3):
            with client_of(hub) as client:
                assert client.get(MANIFEST).status_code == 200
        assert kept_port(kept) == port
        assert len(os.listdir(f"/proc/{hub.pid}/fd")) < FILES / 2
        hub.wait_for(f"all {CLIENTS} connections are taken")
        assert "out of system resource" not in hub.log
        assert len(hub.log) < 1_000_000
        assert rest_of(silent[0]) == b""


def test_the_limit_of_files_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = ["sh", "-c", f'ulimit -S -n {FILES} && exec "$0" "$@"']
    monkeypatch.setattr(
        support_mitmdump, "command_line", lambda confdir: limit + command_line(confdir)
    )
    with running_hub(tmp_path) as hub:
        limits = Path(f"/proc/{hub.pid}/limits").read_text()
        soft = next(line for line in limits.splitlines() if line.startswith("Max open files"))
        assert int(soft.split()[3]) > FILES
        hub.wait_for("clients at once")


def test_a_body_waits_until_its_login_is_judged(tmp_path: Path) -> None:
    """A dear hash takes about a second, in which a stranger could send gigabytes to be kept."""
    file = tmp_path / "machine-types.yaml"
    dear = bcrypt.hashpw(b"right", bcrypt.gensalt(14)).decode()
    file.write_text(f'user: qnib\npassword: "{dear}"\ntypes: [{{name: type1}}]\n')
    registry = EmbeddedRegistry()
    with serving(registry):
        modes = [f"reverse:http://127.0.0.1:{registry.port}"]
        with mitmdump(tmp_path, modes, None, [f"metahub_machine_types={file}"]) as hub:
            hub.wait_for("a hub for")
            before = hub.peak_memory_mib()
            head = (
                f"PUT /v2/{NAME}/blobs/uploads/1 HTTP/1.1\r\nHost: hub.test\r\n"
                f"Authorization: {basic('qnib-type1', 'wrong')}\r\n"
                f"Content-Length: {1 << 30}\r\n\r\n"
            )
            with connect(hub, head.encode()) as connection, suppress(ConnectionError):
                for _ in range(4096):
                    connection.sendall(bytes(1 << 18))
            assert hub.peak_memory_mib() < before + 64
