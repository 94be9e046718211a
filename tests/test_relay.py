"""The relay, between a registry in this process and clients that speak HTTP by hand."""

import http.client
import logging
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cachetools import TTLCache

from metahub_addon import relay as relay_module
from metahub_addon.relay import Order, Relay, _Handler
from metahub_addon.upstream import Registry
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, Handler, serving, sha256
from support.fake_timer import FakeTimer
from support.mitmdump import free_port

LAYER = bytes(range(256)) * 5000
TARGET = f"/v2/a/b/blobs/{sha256(LAYER)}"
TOKEN = "Bearer right-and-secret"
COPIES = 64


@dataclass(frozen=True)
class Got:
    """What a client got: the body as far as it came, and whether it was all."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    whole: bool


def get(url: str, method: str = "GET", **headers: str) -> Got:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 0, timeout=10)
    try:
        connection.request(method, parts.path, headers=headers)
        answer = connection.getresponse()
        try:
            body, whole = answer.read(), True
        except http.client.IncompleteRead as error:
            body, whole = error.partial, False
        return Got(answer.status, {**answer.headers}, body, whole)
    finally:
        connection.close()


def no_tls(name: str) -> ssl.SSLContext:
    raise FileNotFoundError(f"no context for {name}")


def gone(threads: set[threading.Thread]) -> bool:
    """True as soon as no thread lives but these."""
    end = time.monotonic() + 10
    while {*threading.enumerate()} - threads and time.monotonic() < end:
        time.sleep(0.01)
    return not {*threading.enumerate()} - threads


@contextmanager
def relaying(context_for: Callable[[str], ssl.SSLContext] = no_tls) -> Iterator[Relay]:
    """A relay that is closed at the end and has left no thread, nor its port, behind."""
    before = {*threading.enumerate()}
    port = free_port()
    relay = Relay(port, context_for)
    try:
        yield relay
    finally:
        relay.close()
    assert gone(before), threading.enumerate()
    socket.create_server(("127.0.0.1", port)).close()


@pytest.fixture
def registry() -> Iterator[EmbeddedRegistry]:
    registry = EmbeddedRegistry(blobs={sha256(LAYER): LAYER}, tokens={"a/b": TOKEN})
    with serving(registry):
        yield registry


@pytest.fixture(scope="module")
def relay() -> Iterator[Relay]:
    with relaying() as relay:
        yield relay


def order(registry: EmbeddedRegistry, target: str = TARGET, **headers: bytes) -> Order:
    place = Registry(scheme="http", host="127.0.0.1", port=registry.port, authority="reg.test")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Order(place, target, {"Host": b"reg.test", "Authorization": TOKEN.encode(), **named})


def test_a_ticket_is_good_once(relay: Relay, registry: EmbeddedRegistry) -> None:
    url = relay.ticket(order(registry))
    got = get(url)
    assert (got.status, got.body, got.whole) == (200, LAYER, True)
    assert got.headers["Content-Length"] == str(len(LAYER))
    assert got.headers["Connection"] == "close"
    assert get(url).status == 404
    assert len(registry.asked("GET", "/blobs/")) == 1


def test_tickets_stand_for_what_was_ordered(relay: Relay, registry: EmbeddedRegistry) -> None:
    other = b"another layer"
    registry.blobs[sha256(other)] = other
    urls = [
        relay.ticket(order(registry)),
        relay.ticket(order(registry, f"/v2/a/b/blobs/{sha256(other)}")),
        relay.ticket(order(registry)),
    ]
    assert len({*urls}) == 3
    assert [get(url).body for url in reversed(urls)] == [LAYER, other, LAYER]


@pytest.mark.parametrize("path", ["", "x", "../", f"v2/a/b/blobs/{sha256(LAYER)}"])
def test_what_is_no_ticket_is_not_found(
    relay: Relay, registry: EmbeddedRegistry, path: str
) -> None:
    base = relay.ticket(order(registry)).rpartition("/")[0]
    assert get(f"{base}/{path}").status == 404
    assert registry.seen == []


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE"])
def test_only_get_takes_a_ticket(relay: Relay, registry: EmbeddedRegistry, method: str) -> None:
    url = relay.ticket(order(registry))
    assert get(url, method).status == 501
    assert get(url).body == LAYER


def test_the_registry_is_asked_as_the_client_asked(
    relay: Relay, registry: EmbeddedRegistry
) -> None:
    target = f"{TARGET}?ns=reg.test&x=%20"
    get(relay.ticket(order(registry, target, User_Agent=b"docker/26", Accept=b"*/*")))
    (seen,) = registry.seen
    assert (seen.method, seen.path) == ("GET", target)
    assert (seen.authorization, seen.accept, seen.user_agent) == (TOKEN, ("*/*",), "docker/26")


def test_credentials_go_on_byte_for_byte(relay: Relay, registry: EmbeddedRegistry) -> None:
    get(relay.ticket(order(registry, Authorization=b"Bearer secret\xe9")))
    assert registry.seen[0].authorization.encode("latin-1") == b"Bearer secret\xe9"


def test_no_header_of_the_clients_own_goes_on(relay: Relay, registry: EmbeddedRegistry) -> None:
    """The ticket is all: what a client says on this port is said to us."""
    get(relay.ticket(order(registry)), Authorization="Basic x", Accept="text/html")
    (seen,) = registry.seen
    assert (seen.authorization, seen.accept) == (TOKEN, ())


def test_nothing_is_logged_of_what_is_secret(
    relay: Relay,
    registry: EmbeddedRegistry,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    orders = [order(registry), order(registry)]
    urls = [relay.ticket(each) for each in orders]
    get(urls[0])
    registry.faults["/blobs/"] = hang_up
    get(urls[1])
    shown = "".join([caplog.text, *capfd.readouterr(), *map(repr, orders)])
    assert "a layer was not relayed: RemoteDisconnected" in shown
    assert "secret" not in shown
    assert not [url for url in urls if url.rpartition("/")[2] in shown]


def ranged(handler: Handler) -> None:
    first, last = handler.headers["Range"].removeprefix("bytes=").split("-")
    part = LAYER[int(first) : int(last) + 1]
    headers = {"Content-Range": f"bytes {first}-{last}/{len(LAYER)}", "ETag": '"x"'}
    handler.reply(206, part, headers)


def test_a_range_is_passed_on(relay: Relay, registry: EmbeddedRegistry) -> None:
    registry.faults["/blobs/"] = ranged
    got = get(relay.ticket(order(registry, Range=b"bytes=300-555")))
    assert (got.status, got.body) == (206, LAYER[300:556])
    assert got.headers["Content-Range"] == f"bytes 300-555/{len(LAYER)}"
    assert got.headers["ETag"] == '"x"'


@pytest.mark.parametrize(
    ("location", "followed"),
    [
        ("https://layers.test/x?signature=y", "https://layers.test/x?signature=y"),
        ("//layers.test/x", "http://layers.test/x"),
        ("/_storage/abc?x=y", "http://reg.test/_storage/abc?x=y"),
        ("other", f"http://reg.test{TARGET.rpartition('/')[0]}/other"),
    ],
)
def test_a_redirect_is_the_clients_to_follow(
    relay: Relay, registry: EmbeddedRegistry, location: str, followed: str
) -> None:
    """Where it is relative, it is so to the registry: this port has nothing else."""
    place = {"Location": location}
    registry.faults["/blobs/"] = lambda handler: handler.reply(307, headers=place)
    got = get(relay.ticket(order(registry)))
    assert (got.status, got.headers["Location"]) == (307, followed)


def test_a_body_that_is_encoded_all_the_same_is_said_to_be(
    relay: Relay, registry: EmbeddedRegistry
) -> None:
    """Else its digest would seem wrong."""
    encoded = {"Content-Encoding": "gzip"}
    registry.faults["/blobs/"] = lambda handler: handler.reply(200, b"x", encoded)
    assert get(relay.ticket(order(registry))).headers["Content-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("authorization", "status", "says"), [(TOKEN, 404, b""), ("Bearer wrong", 401, b"UNAUTHORIZED")]
)
def test_a_refusal_is_passed_on(
    relay: Relay, registry: EmbeddedRegistry, authorization: str, status: int, says: bytes
) -> None:
    missing = f"/v2/a/b/blobs/{sha256(b'missing')}"
    got = get(relay.ticket(order(registry, missing, Authorization=authorization.encode())))
    assert got.status == status
    assert says in got.body
    if status == 401:
        assert got.headers["WWW-Authenticate"] == 'Basic realm="embedded"'


def test_other_headers_stay_between_the_registry_and_us(
    relay: Relay, registry: EmbeddedRegistry
) -> None:
    more = {"Set-Cookie": "a=b", "Keep-Alive": "timeout=9", "Docker-Content-Digest": sha256(LAYER)}
    registry.faults["/blobs/"] = lambda handler: handler.reply(200, LAYER, more)
    got = get(relay.ticket(order(registry)))
    assert {*got.headers} == {"Content-Length", "Docker-Content-Digest", "Connection"}


def chunked(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for at in range(0, len(LAYER), 100_000):
        part = LAYER[at : at + 100_000]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
    handler.wfile.write(b"0\r\n\r\n")


def test_a_body_of_unknown_length_arrives_whole(relay: Relay, registry: EmbeddedRegistry) -> None:
    registry.faults["/blobs/"] = chunked
    got = get(relay.ticket(order(registry)))
    assert (got.status, got.body) == (200, LAYER)
    assert "Transfer-Encoding" not in got.headers


def short(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(LAYER)))
    handler.end_headers()
    handler.wfile.write(LAYER[:1000])
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    handler.close_connection = True


def test_a_body_that_ends_short_does_so_for_the_client(
    relay: Relay, registry: EmbeddedRegistry
) -> None:
    registry.faults["/blobs/"] = short
    got = get(relay.ticket(order(registry)))
    assert (got.status, got.body, got.whole) == (200, LAYER[:1000], False)
    registry.faults.clear()
    assert get(relay.ticket(order(registry))).body == LAYER


def test_a_reset_amid_a_body_adds_nothing_to_it(
    relay: Relay, registry: EmbeddedRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    begun = threading.Event()

    def reset(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(LAYER)))
        handler.end_headers()
        handler.wfile.write(LAYER[:600_000])
        begun.wait(10)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        handler.connection.close()
        handler.close_connection = True

    registry.faults["/blobs/"] = reset
    url = urlsplit(relay.ticket(order(registry)))
    with socket.create_connection((url.hostname, url.port), 10) as client:
        client.sendall(f"GET {url.path} HTTP/1.1\r\n\r\n".encode())
        received = client.recv(65536)
        begun.set()
        while part := client.recv(65536):
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"200" in head
    assert LAYER[:600_000].startswith(body)
    assert "a layer was not relayed: ConnectionResetError" in caplog.text


def test_a_client_that_goes_is_no_loss(relay: Relay, registry: EmbeddedRegistry) -> None:
    registry.huge_blob = 64 * 1024**2
    huge = f"/v2/a/b/blobs/sha256:{'0' * 64}"
    url = urlsplit(relay.ticket(order(registry, huge)))
    with socket.create_connection((url.hostname, url.port), 10) as client:
        client.sendall(f"GET {url.path} HTTP/1.1\r\n\r\n".encode())
        assert client.recv(1000)
    assert get(relay.ticket(order(registry))).body == LAYER


def test_a_registry_that_hangs_up_is_a_bad_gateway(
    relay: Relay, registry: EmbeddedRegistry
) -> None:
    registry.faults["/blobs/"] = hang_up
    assert get(relay.ticket(order(registry))).status == 502


def test_a_registry_that_is_gone_is_a_bad_gateway(
    registry: EmbeddedRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    with relaying() as relay:
        registry_gone = order(EmbeddedRegistry(port=free_port()))
        got = get(relay.ticket(registry_gone))
    assert got.status == 502
    assert "a layer was not relayed: ConnectionRefusedError" in caplog.text


@pytest.mark.parametrize("target", [f"{TARGET}?x=é", f"{TARGET}?x=\udce9", f"{TARGET}?x=a b"])
def test_a_target_that_cannot_be_sent_is_a_bad_gateway(
    relay: Relay,
    registry: EmbeddedRegistry,
    target: str,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert get(relay.ticket(order(registry, target))).status == 502
    assert "Traceback" not in capfd.readouterr().err
    assert registry.seen == []
    assert "a layer was not relayed: " in caplog.text


@pytest.mark.parametrize("value", [b"Bearer top-secret\rx", b"Bearer top-secret\x00\ny"])
def test_credentials_that_cannot_be_sent_are_not_shown(
    relay: Relay,
    registry: EmbeddedRegistry,
    value: bytes,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """http.client quotes what it refuses."""
    assert get(relay.ticket(order(registry, Authorization=value))).status == 502
    assert "a layer was not relayed: ValueError" in caplog.text
    assert "secret" not in "".join([caplog.text, *capfd.readouterr()])


def test_what_is_promised_and_what_is_copied_takes_room() -> None:
    """Each copy is held back by the registry until all have been asked for."""
    registry = EmbeddedRegistry(blobs={sha256(LAYER): LAYER})
    held, gate = threading.Semaphore(0), threading.Event()

    def hold(handler: Handler) -> None:
        held.release()
        gate.wait(30)
        handler.reply(200, LAYER)

    registry.faults["/blobs/"] = hold
    with serving(registry), relaying() as relay, ExitStack() as clients:
        urls = []
        for _ in range(COPIES):
            assert relay.has_room
            urls.append(relay.ticket(order(registry)))
        assert not relay.has_room, "all is promised"
        late = relay.ticket(order(registry))
        waiting = [ask(clients, url) for url in [*urls, late]]
        for _ in waiting:
            assert held.acquire(timeout=30), "what was promised is kept"
        assert not relay.has_room, "all is under way"
        gate.set()
        for client in waiting:
            answer = http.client.HTTPResponse(client)
            answer.begin()
            assert answer.read() == LAYER
            answer.close()
        registry.faults.clear()
        assert waits_for_room(relay)
        for _ in range(COPIES + 1):
            assert get(relay.ticket(order(registry))).status == 200


def ask(clients: ExitStack, url: str) -> socket.socket:
    """A client that has shown its ticket."""
    place = urlsplit(url)
    client = clients.enter_context(socket.create_connection((place.hostname, place.port), 30))
    client.sendall(f"GET {place.path} HTTP/1.1\r\n\r\n".encode())
    return client


def waits_for_room(relay: Relay) -> bool:
    """True as soon as nothing is promised nor copied; a copy ends a little after its body."""
    end = time.monotonic() + 10
    while relay._copying and time.monotonic() < end:
        time.sleep(0.01)
    return relay.has_room and relay._copying == 0


def test_a_ticket_that_nobody_shows_takes_no_room_for_long(registry: EmbeddedRegistry) -> None:
    timer = FakeTimer()
    with relaying() as relay:
        relay._tickets = TTLCache(4096, 30, timer)
        for _ in range(COPIES):
            relay.ticket(order(registry))
        assert not relay.has_room
        timer.wait(31)
        assert relay.has_room


def test_no_place_is_lost_however_a_copy_ends(registry: EmbeddedRegistry) -> None:
    with relaying() as relay:
        for fault in (not_found, hang_up, short):
            registry.faults["/blobs/"] = fault
            for target in (TARGET, f"{TARGET}?x=é"):
                get(relay.ticket(order(registry, target)))
        assert waits_for_room(relay)


def not_found(handler: Handler) -> None:
    handler.reply(404)


def test_a_client_whose_line_cannot_be_set_up_takes_no_place(
    registry: EmbeddedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where it has gone in the same moment."""
    monkeypatch.setattr(relay_module, "_SOCKET_BUFFER", "no size")
    with relaying() as relay:
        with pytest.raises(http.client.RemoteDisconnected):
            get(relay.ticket(order(registry)))
        assert waits_for_room(relay)
    assert registry.seen == []


def test_many_who_come_at_once_are_all_heard(registry: EmbeddedRegistry) -> None:
    """A node that boots: while the port does not get to accept, none is turned away.

    What a full queue turns away comes again a second later.
    """
    with relaying() as relay, ExitStack() as clients:
        server = relay._server
        server.shutdown()
        place = server.server_address[:2]
        for _ in range(100):
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(place)
            assert select.select([], [client], [], 0.9)[1], "not even connected"
        threading.Thread(target=server.serve_forever, daemon=True).start()


def test_who_shows_no_ticket_takes_no_thread_for_long(
    registry: EmbeddedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any user of the node may connect, and as often as it likes."""
    monkeypatch.setattr(_Handler, "timeout", 3600)
    with relaying() as relay, ExitStack() as idle:
        url = urlsplit(relay.ticket(order(registry)))
        before = threading.active_count()
        clients = [
            idle.enter_context(socket.create_connection((url.hostname, url.port), 30))
            for _ in range(3 * COPIES)
        ]
        turned_away = [clients[at].recv(1) for at in range(2 * COPIES, 3 * COPIES)]
        assert turned_away == [b""] * COPIES
        assert threading.active_count() - before <= 2 * COPIES
        for client in clients:
            client.close()
        end = time.monotonic() + 10
        while threading.active_count() > before and time.monotonic() < end:
            time.sleep(0.01)
        assert get(url.geturl()).body == LAYER, "who comes afterwards is served"


def test_a_client_that_says_nothing_is_hung_up_on(
    registry: EmbeddedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _Handler.timeout <= 5
    monkeypatch.setattr(_Handler, "timeout", 0.05)
    with relaying() as relay:
        url = urlsplit(relay.ticket(order(registry)))
        with socket.create_connection((url.hostname, url.port), 10) as client:
            assert client.recv(1) == b""


def test_a_registry_may_take_its_time_once_the_ticket_is_shown(
    registry: EmbeddedRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that reads slowly is not one that says nothing."""
    seen = []

    def remember(_: Relay, __: Order, client: _Handler) -> None:
        seen.append(client.connection.gettimeout())
        client.send_error(404)

    monkeypatch.setattr(Relay, "copy", remember)
    with relaying() as relay:
        assert get(relay.ticket(order(registry))).status == 404
    assert seen == [60]


def test_clients_that_go_away_are_not_printed(
    registry: EmbeddedRegistry, capfd: pytest.CaptureFixture[str]
) -> None:
    with relaying() as relay:
        url = urlsplit(relay.ticket(order(registry)))
        for _ in range(5):
            with socket.create_connection((url.hostname, url.port), 10) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                client.sendall(b"GET /")
        get(url.geturl())
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")


def test_the_port_opens_without_a_look_up_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of localhost's: without /etc/hosts and DNS it takes seconds, from the event loop's."""

    def never(*_: object) -> str:
        raise AssertionError("looked up a name")

    for name in ("getfqdn", "gethostbyaddr"):
        monkeypatch.setattr(socket, name, never)
    with relaying():
        pass


def test_after_close_no_ticket_is_taken(registry: EmbeddedRegistry) -> None:
    with relaying() as relay:
        url = relay.ticket(order(registry))
    with pytest.raises(ConnectionRefusedError):
        get(url)


def test_a_copy_that_runs_when_the_port_closes_ends_well(registry: EmbeddedRegistry) -> None:
    begun, gate = threading.Event(), threading.Event()

    def hold(handler: Handler) -> None:
        begun.set()
        gate.wait(30)
        handler.reply(200, LAYER)

    registry.faults["/blobs/"] = hold
    got: list[Got] = []
    relay = Relay(free_port(), no_tls)
    try:
        url = relay.ticket(order(registry))
        client = threading.Thread(target=lambda: got.append(get(url)))
        client.start()
        assert begun.wait(10)
    finally:
        relay.close()
        gate.set()
    client.join(10)
    assert [each.body for each in got] == [LAYER]


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(OSError, match="in use"):
        Relay(other.getsockname()[1], no_tls)


@pytest.mark.parametrize(
    ("sni", "trusted", "status"),
    [
        ("reg.test", True, 200),
        ("", True, 200),
        ("other.test", True, 502),
        ("reg.test", False, 502),
    ],
)
def test_tls_is_verified_for_the_name_that_the_client_used(
    tmp_path: Path, sni: str, trusted: bool, status: int
) -> None:
    """Without a name, for the address."""
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "reg.test")
    asked = []

    def context_for(name: str) -> ssl.SSLContext:
        asked.append(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if trusted:
            context.load_verify_locations(ca)
        return context

    registry = EmbeddedRegistry(blobs={sha256(LAYER): LAYER})
    with serving(registry, (str(cert), str(key))), relaying(context_for) as relay:
        place = Registry(
            scheme="https", host="127.0.0.1", port=registry.port, authority="reg.test", sni=sni
        )
        got = get(relay.ticket(Order(place, TARGET, {"Host": b"reg.test"})))
    assert got.status == status
    assert asked == [sni or "127.0.0.1"]
    assert (got.body == LAYER) is (status == 200)
    assert bool(registry.seen) is (status == 200)


def test_certificates_that_cannot_be_loaded_are_a_bad_gateway(
    registry: EmbeddedRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    place = Registry(scheme="https", host="127.0.0.1", port=registry.port, authority="reg.test")
    with relaying() as relay:
        assert get(relay.ticket(Order(place, TARGET, {}))).status == 502
    assert "FileNotFoundError: no context for 127.0.0.1" in caplog.text
