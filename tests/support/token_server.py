"""A token issuer as registries want one ('Token Authentication Specification' and 'OAuth2 Token
Authentication' of the distribution project): users, what each may do, and signed tokens.

In a test: `with issuing(TokenServer(users={"ann": "pw"})) as issuer:`. As a process of its own:
`python token_server.py CONFIG.json`, the keys being those of `TokenServer.from_config`.
It stands alone: no other module of the tests is imported.
"""

import base64
import hashlib
import json
import signal
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

ANYBODY = ""


@dataclass(frozen=True)
class Asked:
    """A request that the server got; `user` is who it was found to be from."""

    method: str
    service: str
    scopes: tuple[str, ...]
    user: str
    status: int
    authorization: str = ""
    grant: str = ""


@dataclass(frozen=True)
class Issued:
    """A token that is out: what it allows, and until when by the monotonic clock."""

    allowed: Mapping[str, frozenset[str]]
    until: float


class Signer:
    """An ES256 key with its certificate, which is a registry's `rootcertbundle`."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test token issuer")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=7))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate = certificate.public_bytes(serialization.Encoding.PEM)
        # The name of a key as docker's libtrust makes it; what came after it takes it, too.
        public = self._key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        text = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
        self.kid = ":".join(text[at : at + 4] for at in range(0, len(text), 4))

    def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT of the claims."""
        header = {"typ": "JWT", "alg": "ES256", "kid": self.kid}
        signed = f"{_encode(header)}.{_encode(claims)}"
        r, s = decode_dss_signature(self._key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        return f"{signed}.{_base64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


@dataclass
class TokenServer:
    """Who may do what, and what was asked.

    `grants` gives each user (ANYBODY: without a login) patterns of repositories with their
    actions; whoever is not in it may pull everything once logged in. `identities` are the
    refresh tokens by user. A token holds for `seconds`; `skew` moves the issuer's clock.
    `says_expiry` False leaves expires_in and issued_at out, `field_name` is `token` or
    `access_token`, `takes_post` False answers POST with 405. A fault answers in its place.
    """

    users: dict[str, str] = field(default_factory=dict)
    grants: dict[str, dict[str, str]] = field(default_factory=dict)
    identities: dict[str, str] = field(default_factory=dict)
    service: str = "registry.test"
    issuer: str = "issuer.test"
    seconds: float = 300
    skew: float = 0
    says_expiry: bool = True
    field_name: str = "token"
    takes_post: bool = True
    fault: "Callable[[Handler], None] | None" = None
    signer: Signer = field(default_factory=Signer)
    asked: list[Asked] = field(default_factory=list)
    issued: dict[str, Issued] = field(default_factory=dict)
    url: str = ""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TokenServer":
        """By keys of the same names: users, grants, identities, service, issuer, seconds."""
        names = ("users", "grants", "identities", "service", "issuer", "seconds")
        return cls(**{name: config[name] for name in names if name in config})

    @property
    def realm(self) -> str:
        """What a registry names in its challenge."""
        return f"{self.url}/token"

    def revoke(self) -> None:
        """Take back every token, for registries that ask `allows` (JWTs themselves live on)."""
        self.issued.clear()

    def allows(self, authorization: str, name: str, actions: str) -> bool:
        """True for a token that is out, has not expired and allows this."""
        issued = self.issued.get(authorization.removeprefix("Bearer "))
        if issued is None or issued.until < time.monotonic():
            return False
        return issued.allowed.get(name, frozenset()) >= set(filter(None, actions.split(",")))

    def issue(self, user: str, service: str, scopes: Sequence[str]) -> dict[str, Any]:
        """The answer with a token of what the user may do of the scopes."""
        allowed: dict[str, frozenset[str]] = {}
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            if kind == "repository":
                allowed[name] = frozenset(actions.split(",")) & self._may(user, name)
        now = time.time() + self.skew
        access = [
            {"type": "repository", "name": name, "actions": sorted(actions)}
            for name, actions in allowed.items()
            if actions
        ]
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": service,
            "iat": int(now),
            "nbf": int(now) - 10,
            "exp": int(now + self.seconds),
            "jti": str(uuid.uuid4()),
            "access": access,
        }
        token = self.signer.sign(claims)
        self.issued[token] = Issued(allowed, time.monotonic() + self.seconds)
        answer: dict[str, Any] = {self.field_name: token}
        if self.says_expiry:
            answer["expires_in"] = self.seconds
            answer["issued_at"] = datetime.fromtimestamp(now, UTC).isoformat()
        return answer

    def user_of(self, authorization: str) -> str | None:
        """Who logs in by Basic, None for a wrong login."""
        if not authorization:
            return ANYBODY
        try:
            pair = base64.b64decode(authorization.removeprefix("Basic ")).decode()
        except ValueError:
            return None
        user, _, password = pair.partition(":")
        for named, identity in self.identities.items():
            if password == identity and user in (named, "<token>"):
                return named
        return user if user in self.users and self.users[user] == password else None

    def _may(self, user: str, name: str) -> set[str]:
        rules = self.grants.get(user, {"*": "pull"} if user != ANYBODY else {})
        granted: set[str] = set()
        for pattern, actions in rules.items():
            if fnmatchcase(name, pattern):
                granted.update(actions.split(","))
        return granted


class Handler(BaseHTTPRequestHandler):
    """Serves one connection; `server.issuer` is the TokenServer."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "Server"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        named = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**named, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        user = self.server.issuer.user_of(self.headers.get("Authorization", ""))
        scopes = [part for scope in query.get("scope", []) for part in scope.split(" ")]
        self._answer("GET", user, query.get("service", [""])[0], scopes)

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        form = {
            name: values[0] for name, values in parse_qs(self.rfile.read(length).decode()).items()
        }
        issuer, grant = self.server.issuer, form.get("grant_type", "")
        user = None
        if grant == "refresh_token" and form.get("client_id"):
            shown = form.get("refresh_token", "")
            user = next((name for name, own in issuer.identities.items() if own == shown), None)
        scopes = form.get("scope", "").split()
        self._answer("POST", user, form.get("service", ""), scopes, grant)

    def _answer(
        self, method: str, user: str | None, service: str, scopes: Sequence[str], grant: str = ""
    ) -> None:
        issuer = self.server.issuer
        refused = user is None or service != issuer.service
        status = 405 if method == "POST" and not issuer.takes_post else 401 if refused else 200
        shown = self.headers.get("Authorization", "")
        asked = Asked(method, service, tuple(scopes), user or ANYBODY, status, shown, grant)
        issuer.asked.append(asked)
        if issuer.fault is not None:
            issuer.fault(self)
        elif status == 200:
            self.reply(200, json.dumps(issuer.issue(user or ANYBODY, service, scopes)).encode())
        else:
            self.reply(status, b'{"errors":[{"code":"UNAUTHORIZED","message":"no"}]}')


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    issuer: TokenServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that give up are part of the tests


@contextmanager
def issuing(
    issuer: TokenServer,
    address: str = "127.0.0.1",
    port: int = 0,
    tls: tuple[str, str] | None = None,
) -> Iterator[TokenServer]:
    """Serve on an address; `tls`: the certificate's and key's files. Sets the issuer's url."""
    server = Server((address, port), Handler)
    server.issuer = issuer
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    issuer.url = f"{'https' if tls else 'http'}://{address}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _encode(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def main() -> None:
    """Serve by a file: the keys of `from_config`, and these.

    `address`, `port`, `certificate` with `key` (TLS), and `bundle`, the path that the
    certificate for a registry's `rootcertbundle` is written to before the port is open.
    Prints the url when it is up, ends by SIGTERM.
    """
    config = json.loads(Path(sys.argv[1]).read_text())
    issuer = TokenServer.from_config(config)
    if "bundle" in config:
        Path(config["bundle"]).write_bytes(issuer.signer.certificate)
    tls = (config["certificate"], config["key"]) if "certificate" in config else None
    signals = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    address, port = config.get("address", "127.0.0.1"), config.get("port", 0)
    with issuing(issuer, address, port, tls):
        print(issuer.url, flush=True)
        signal.sigwait(signals)


if __name__ == "__main__":
    main()
