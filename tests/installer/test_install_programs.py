"""The two programs that are copied to a node: the trust bundle, and the draining stop."""

import subprocess
import sys
from pathlib import Path

import pytest

from installer import drain, trust_bundle
from installer.drain import connections, wait
from installer.layout import (
    CA_CERTIFICATE,
    HEARTBEAT_FILE,
    MIRROR_PORT,
    PROXY_PORT,
    TRANSPARENT_PORT,
    UPSTREAM_TRUST,
)
from installer.trust_bundle import OWN, TARGET, build, bundle, certificates, pem

PUBLIC, PRIVATE, OTHER, OURS = (pem(name) for name in (b"public" * 20, b"private", b"o", b"us"))
FOURTH = pem(b"a fourth")


def test_certificates_read_back() -> None:
    assert list(certificates(f"# a comment\n{PUBLIC}junk\r\n{OTHER}")) == [b"public" * 20, b"o"]
    assert all(len(line) <= 64 for line in PUBLIC.splitlines())


def test_damaged_certificates_are_left_out() -> None:
    damaged = "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"
    assert bundle([damaged + PUBLIC], "") == PUBLIC


def test_each_once_and_never_our_own() -> None:
    crlf = OURS.replace("\n", "\r\n")
    assert bundle([PUBLIC + crlf, PRIVATE, PUBLIC], OURS) == PUBLIC + PRIVATE
    trusted = PUBLIC.replace("BEGIN CERT", "BEGIN TRUSTED CERT")
    assert bundle([trusted.replace("END CERT", "END TRUSTED CERT")], "") == PUBLIC


def write(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize("store", trust_bundle.STORES)
def test_the_bundle_of_a_node(tmp_path: Path, store: str) -> None:
    write(tmp_path, store, PUBLIC + OURS)
    write(tmp_path, OWN, OURS)
    write(tmp_path, "etc/docker/certs.d/reg.test:5000/ca.crt", PRIVATE)
    write(tmp_path, "etc/docker/certs.d/reg.test:5000/metahub.crt", OURS)
    write(tmp_path, "etc/docker/certs.d/reg.test:5000/client.key", OTHER)
    write(tmp_path, "etc/containers/certs.d/other.test/ca.crt", OTHER)
    (tmp_path / TARGET).parent.mkdir(parents=True)
    build(tmp_path)
    assert (tmp_path / TARGET).read_text() == PUBLIC + PRIVATE + OTHER
    assert (tmp_path / TARGET).stat().st_mode & 0o777 == 0o644
    assert [path.name for path in (tmp_path / TARGET).parent.iterdir()] == ["trust.pem"]


HOSTS = """
server = "https://reg.test"
ca = "/etc/certs/server.pem"
[host."https://mirror.test"]
ca = ["beside.pem", "/etc/certs/mirror.pem", "/etc/certs/absent.pem", "/etc/certs"]
[host."https://strange.test"]
ca = 7
"""


def test_the_authorities_that_containerd_has_elsewhere(tmp_path: Path) -> None:
    folder = "etc/containerd/certs.d"
    write(tmp_path, trust_bundle.STORES[0], PUBLIC)
    write(tmp_path, f"{folder}/reg.test/hosts.toml", HOSTS)
    write(tmp_path, f"{folder}/reg.test/beside.pem", PRIVATE)
    write(tmp_path, "etc/certs/server.pem", OTHER)
    write(tmp_path, "etc/certs/mirror.pem", FOURTH)
    write(tmp_path, f"{folder}/broken.test/hosts.toml", "= broken")
    write(tmp_path, OWN, OURS)
    write(tmp_path, f"{folder}/_default/hosts.toml", f'ca = "/{OWN}"')
    (tmp_path / TARGET).parent.mkdir(parents=True)
    build(tmp_path)
    assert (tmp_path / TARGET).read_text() == PUBLIC + OTHER + PRIVATE + FOURTH


def test_a_link_in_the_folder_of_the_proxy_leads_nowhere(tmp_path: Path) -> None:
    target = tmp_path / TARGET
    target.parent.mkdir(parents=True)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (target, target.with_suffix(".new")):
        name.symlink_to(victim)
    write(tmp_path, trust_bundle.STORES[0], PUBLIC)
    build(tmp_path)
    assert victim.read_text() == "mine"
    assert target.read_text() == PUBLIC
    assert not target.is_symlink()


def test_one_store_is_enough(tmp_path: Path) -> None:
    for store in trust_bundle.STORES:
        write(tmp_path, store, pem(store.encode()))
    (tmp_path / TARGET).parent.mkdir(parents=True)
    build(tmp_path)
    text = (tmp_path / TARGET).read_text()
    assert list(certificates(text)) == [trust_bundle.STORES[0].encode()]


def test_places_are_those_of_the_installer() -> None:
    assert f"/{TARGET}" == str(UPSTREAM_TRUST)
    assert f"/{OWN}" == str(CA_CERTIFICATE)
    assert {PROXY_PORT, TRANSPARENT_PORT, MIRROR_PORT} <= drain._PORTS
    assert str(HEARTBEAT_FILE) in Path(drain.__file__).read_text()


@pytest.mark.parametrize("program", ["drain.py", "trust_bundle.py"])
def test_they_run_on_the_standard_library_alone(program: str) -> None:
    path = Path(drain.__file__).with_name(program)
    code = f"import runpy; runpy.run_path({str(path)!r}, run_name='tried')"
    subprocess.run([sys.executable, "-IBSc", code], check=True)


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid
   0: 0100007F:46A2 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0
   1: 0100007F:46A2 0100000A:C350 01 00000000:00000000 00:00000000 00000000     0
   2: 0100000A:C350 0100007F:46A2 01 00000000:00000000 00:00000000 00000000     0
   3: 0100007F:46A2 0100000A:C351 06 00000000:00000000 00:00000000 00000000     0
   4: 00000000000000000000000001000000:46A1 00:C352 01 00000000:00000000 00:0 0     0
"""


def test_connections_of_clients() -> None:
    # 0x46A2 is 18082: neither a listener, nor the client's end, nor one that is closing.
    assert connections(TABLE.splitlines(), frozenset({18082})) == 1
    assert connections(TABLE.splitlines(), frozenset({18081, 18082})) == 2
    assert connections([], frozenset({18082})) == 0


def test_the_stop_waits_for_clients() -> None:
    counts, pauses = iter([3, 1, 0]), []
    assert wait(lambda: next(counts), lambda: True, 60, lambda: pauses.append(1)) == 0
    assert len(pauses) == 2


def test_the_stop_does_not_wait_for_ever() -> None:
    assert wait(lambda: 2, lambda: True, 0, pytest.fail) == 2


def test_the_stop_does_not_wait_for_the_dead() -> None:
    assert wait(lambda: 2, lambda: False, 60, pytest.fail) == 2
    assert not drain.is_running("")
    assert not drain.is_running("999999999")
    assert drain.is_running(str(__import__("os").getpid()))


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []

    def held() -> int:
        said.append("counted")
        return 2

    monkeypatch.setattr(drain, "end_redirect", lambda: said.append("no more redirect"))
    monkeypatch.setattr(drain, "SECONDS", 0.0)
    monkeypatch.setattr(drain, "held", held)
    return said


def test_the_redirect_ends_before_anything_is_counted(
    ended: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MAINPID", "1")
    assert drain.main() == 0
    assert ended == ["no more redirect", "counted"]
    assert "2 connections were still open" in capsys.readouterr().err
