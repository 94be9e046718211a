"""Run a hub: one registry address for a fleet, where the login tells the machine type.

Becomes mitmdump with the addon, in the foreground; Ctrl-C ends it. Says first what clients
have to do. Arguments behind `--` are mitmdump's.
"""

import argparse
import os
import shlex
import socket
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import certifi
import httpx
from cryptography import x509

from metahub_addon.hub_config import DEFAULT_PLATFORM
from metahub_addon.hub_config_parser import parse_hub_config
from metahub_addon.passwords import hash_password
from metahub_addon.printable import printable
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.web_listen import InvalidListen, Listen, parse_listen

ADDON = Path(__file__).resolve().parent.parent / "metahub_addon" / "addon.py"
CA = "mitmproxy-ca-cert.pem"
# No root, no other machine, and docker takes a registry on loopback without its CA.
LISTEN = "127.0.0.1:5443"
_EVERYWHERE = ("", "0.0.0.0", "::")


class Problem(Exception):
    """Why no hub can be run; the message names the option."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is asked for, checked.

    `certified` is the hub's name by its certificate (empty: none), `state` is where mitmproxy
    keeps its CA.
    """

    upstream: str
    listen: Listen
    web: Listen | None
    machine_types: Path | None
    certificate: Path | None
    certified: str
    upstream_ca: Path | None
    state: Path
    more: tuple[str, ...]

    @property
    def name(self) -> str:
        """The hub as clients name it."""
        host = self.host(self.listen)
        # docker takes a name without dot and colon for a user of Docker Hub.
        is_registry = "." in host or ":" in host or host == "localhost"
        if self.listen.port == 443 and is_registry:
            return host
        return f"{host}:{self.listen.port}"

    def host(self, listen: Listen) -> str:
        """How others call this machine; behind all addresses, by its own name."""
        if self.certified and not _is_loopback(listen.host):
            return self.certified
        return _reachable(listen.host)


def _reachable(host: str) -> str:
    if host in _EVERYWHERE:
        return socket.gethostname().lower()
    return f"[{host}]" if ":" in host else host


def parse(arguments: Sequence[str]) -> Settings:
    """Read the command line; raises Problem, or ends with 2 as argparse does."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    given = _parser().parse_args(arguments[:at])
    certificate = _certificate(given.certificate)
    return Settings(
        upstream=_upstream(given.upstream),
        listen=_listen("--listen", given.listen),
        web=_listen("--web", given.web) if given.web else None,
        machine_types=_machine_types(given.machine_types),
        certificate=certificate,
        certified=_name_in(certificate) if certificate else "",
        upstream_ca=_readable("--upstream-ca", given.upstream_ca),
        state=given.state.expanduser().absolute(),
        more=tuple(arguments[at + 1 :]),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/hub",
        usage="%(prog)s --upstream URL [OPTIONS] [-- ARGUMENTS]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        epilog="Example: scripts/hub --upstream https://registry-1.docker.io",
    )
    add = parser.add_argument
    add("--upstream", required=True, metavar="URL", help="the registry behind it, https://HOST")
    add(
        "--machine-types",
        type=Path,
        metavar="FILE",
        help="machine types and accounts (YAML); default: MetaHub's four static types, to try it",
    )
    add(
        "--listen",
        default=LISTEN,
        metavar="[ADDR]:PORT",
        help=f"where clients come, :443 for a fleet (then as root); default: {LISTEN}",
    )
    add("--web", metavar="[ADDR]:PORT", help="the page, the API, /metrics, /healthz, /readyz")
    add(
        "--certificate",
        type=Path,
        metavar="PEM",
        help="the hub's key, certificate and chain; default: one by a CA of its own",
    )
    add(
        "--upstream-ca",
        type=Path,
        metavar="PEM",
        help="CAs of registries, trusted besides the public ones",
    )
    add(
        "--state",
        type=Path,
        default=Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state") / "metahub-hub",
        metavar="FOLDER",
        help="where its CA is kept; default: %(default)s",
    )
    return parser


def _upstream(text: str) -> str:
    """A URL as mitmdump's reverse mode wants it."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise Problem(f"--upstream: {text!r}: {error}") from error
    if url.scheme not in ("https", "http") or not url.host or url.userinfo:
        raise Problem(f"--upstream: {text!r} is not https://HOST[:PORT] or http://HOST[:PORT]")
    if url.raw_path != b"/" or url.fragment:
        raise Problem(f"--upstream: {text!r}: a registry's API is at /v2/, name the host only")
    host = f"[{url.host}]" if ":" in url.host else url.host
    return f"{url.scheme}://{host}:{url.port or {'https': 443, 'http': 80}[url.scheme]}"


def _listen(option: str, text: str) -> Listen:
    try:
        return parse_listen(text)
    except InvalidListen as error:
        raise Problem(f"{option}: {error}") from error


def _readable(option: str, path: Path | None) -> Path | None:
    if path is None:
        return None
    try:
        with path.open("rb"):
            return path.absolute()
    except OSError as error:
        raise Problem(f"{option}: {path}: {error.strerror}") from error


def _machine_types(path: Path | None) -> Path | None:
    found = _readable("--machine-types", path)
    if found is not None:
        try:
            text = found.read_bytes().decode()
            parse_hub_config(text, str(found), DEFAULT_PLATFORM, _cheap_hash)
        except InvalidYaml as error:
            raise Problem(f"--machine-types: {printable(str(error))}") from error
        except UnicodeDecodeError:  # whose text would quote the file
            raise Problem(f"--machine-types: {path}: is not UTF-8") from None
    return found


def _cheap_hash(user: str, password: str) -> str:
    """Of a password in the clear; it goes nowhere, the hub makes its own."""
    return hash_password(password, 4)


def _certificate(path: Path | None) -> Path | None:
    found = _readable("--certificate", path)
    if found is not None:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(found, password="")
        except (OSError, ValueError) as error:
            raise Problem(f"--certificate: {path}: holds no key and its certificate") from error
    return found


def _name_in(certificate: Path) -> str:
    """The first DNS name that is no wildcard (RFC 5280 4.2.1.6); empty if there is none."""
    try:
        own, *_ = x509.load_pem_x509_certificates(certificate.read_bytes())
        names = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ""
    found = names.get_values_for_type(x509.DNSName)
    return next((name for name in found if "*" not in name), "")


def command(settings: Settings) -> list[str]:
    """mitmdump's command line."""
    options = {
        "confdir": str(settings.state),
        "flow_detail": "0",
        "metahub_lean": "true",
        # mitmproxy keeps public addresses out; here a login is wanted of everyone.
        "block_global": "false",
        # The registry behind need not be there for a client to be told so.
        "connection_strategy": "lazy",
        "upstream_cert": "false",
    }
    if settings.machine_types:
        options["metahub_machine_types"] = str(settings.machine_types)
    if settings.certificate:
        options["certs"] = f"*={settings.certificate}"
    if settings.upstream_ca:
        options["ssl_verify_upstream_trusted_ca"] = str(settings.state / "upstream-ca.pem")
    if settings.web:
        options["metahub_web"] = f"{_in_brackets(settings.web.host)}:{settings.web.port}"
        if settings.certificate:
            options["metahub_web_certificate"] = str(settings.certificate)
    host = f"{settings.listen.host}:" if settings.listen.host else ""
    mode = f"reverse:{settings.upstream}@{host}{settings.listen.port}"
    mitmdump = Path(sys.executable).with_name("mitmdump")
    words = [str(mitmdump), "-s", str(ADDON), "--mode", mode]
    for name, value in options.items():
        words += ["--set", f"{name}={value}"]
    return [*words, *settings.more]


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def instructions(settings: Settings) -> str:
    """What to do on a client."""
    name, ca = settings.name, settings.state / CA
    static, local = settings.machine_types is None, _is_loopback(settings.listen.host)
    own = settings.certificate is None
    user, account = ("qnib-type1",) * 2 if static else ("ACCOUNT-TYPE", "ACCOUNT")
    # On this machine it is there, if not on the PATH; others have to be given it.
    metahub = shlex.quote(str(Path(sys.executable).with_name("metahub"))) if local else "metahub"
    there = "" if local else " (`pip install .` in a clone there)"
    lines = [f"A hub for {settings.upstream}. On a client:"]
    if own and not local:
        lines += [
            f"  its CA is {ca} on this machine: copy it to",
            f"    /etc/docker/certs.d/{name}/ca.crt       for docker",
            f"    /etc/containers/certs.d/{name}/ca.crt   for podman",
        ]
    lines += [
        f"  docker login -u {user} {name}" + "     (the password is the user's name)" * static,
        f"  docker pull {name}/qnib/bench",
        f"  or let it find out what the client is, and log docker or podman in{there}:",
        f"  {metahub} login --registry {name} --user {account}" + f" --ca {ca}" * (own and local),
    ]
    if own and local:
        lines += [
            "  docker takes a registry on loopback as it is; podman wants --tls-verify=false, or",
            f"  {ca} as /etc/containers/certs.d/{name}/ca.crt.",
        ]
    if settings.web:
        lines.append(f"Page: {_page(settings, settings.web)}")
    return "\n".join(lines)


def _page(settings: Settings, web: Listen) -> str:
    """Where one can log in to the page: by TLS, or else on loopback."""
    if settings.certificate:
        return f"https://{settings.host(web)}:{web.port}/"
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}
    return f"http://{loopback.get(web.host) or _reachable(web.host)}:{web.port}/"


def warnings(settings: Settings) -> list[str]:
    """What an operator should know before the fleet comes."""
    found = []
    if settings.machine_types is None:
        found.append(
            "no --machine-types: MetaHub's static accounts qnib-type1 to qnib-type4, whose "
            "passwords everyone knows"
        )
    web = settings.web
    if web and settings.certificate is None and not _is_loopback(web.host):
        at = f" at {_page(settings, web)} and" if web.host in _EVERYWHERE else ""
        found.append(
            f"--web without --certificate: no login to the page but{at} behind a trusted proxy "
            "that ends TLS"
        )
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def prepare(settings: Settings) -> None:
    """Make the folder for the CA, and one file of all CAs to trust."""
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.upstream_ca:
        bundle = settings.state / "upstream-ca.pem"
        files = (Path(certifi.where()), settings.upstream_ca)
        bundle.write_text("\n".join(file.read_text() for file in files))


def main() -> int:
    """Become a hub; 2 if that cannot be."""
    try:
        settings = parse(sys.argv[1:])
        prepare(settings)
    except Problem as problem:
        sys.stderr.write(f"metahub: {problem}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"metahub: {error.filename}: {error.strerror}\n")
        return 2
    words = command(settings)
    for warning in warnings(settings):
        sys.stderr.write(f"metahub: warning: {warning}\n")
    sys.stdout.write(f"{instructions(settings)}\n\n{shlex.join(words)}\n\n")
    sys.stdout.flush()
    if settings.machine_types is None:
        os.environ["STATIC_MACHINES"] = "true"
    os.execv(words[0], words)


if __name__ == "__main__":
    sys.exit(main())
