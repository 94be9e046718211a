import asyncio
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from threading import Event
from typing import Any

import pytest

from metahub_addon.client_certificates import ShownCertificate
from metahub_addon.hub import Crossed, ImageProblem, NotAllowed, Shown
from metahub_addon.hub_config import (
    CertificateRule,
    HubConfig,
    NetworkRule,
    ReadOnly,
    Selector,
    UpstreamRule,
)
from metahub_addon.hub_login_check import LoginRefused
from metahub_addon.hub_routes import Route
from metahub_addon.type_digest import digest_of
from metahub_addon.type_selection import NotSelected
from metahub_addon.upstream import FetchError
from support.certificates import make_authority
from support.client_certificates import make
from support.fake_registry_client import REPOSITORY, FakeAnswer
from support.hub import PASSWORD, TYPES, FakeHub, account, config

NETWORK = ip_network("192.0.2.0/24")
BEHIND = UpstreamRule(name="q.test", registry=replace(REPOSITORY.registry, host="q.test"))
PREFIXED = replace(BEHIND, prefix="q")
DEFAULT = UpstreamRule(name="r.test", registry=REPOSITORY.registry)


class Started:
    """Hubs that are closed after the test."""

    def __init__(self) -> None:
        self.made: list[FakeHub] = []

    def __call__(self, hub_config: HubConfig | None = None) -> FakeHub:
        self.made.append(FakeHub(hub_config or config()))
        return self.made[-1]


@pytest.fixture
def start() -> Iterator[Started]:
    started = Started()
    yield started
    for fake in started.made:
        fake.passwords.close()


async def test_who_logs_in(start: Started) -> None:
    hub = start().hub
    login = await hub.check("qnib-type2", PASSWORD, "192.0.2.1")
    assert login.machine is TYPES["type2"]
    assert await hub.log_in("qnib", PASSWORD, "192.0.2.1") is hub.config.accounts["qnib"]
    with pytest.raises(LoginRefused):
        await hub.log_in("qnib", "wrong", "192.0.2.1")


async def test_a_changed_configuration_is_taken_up_once(start: Started) -> None:
    fake = start()
    hub, first = fake.hub, fake.hub.config
    assert await hub.refresh() is first
    assert fake.source.reads == 0
    fake.source.changed = changed = config(account(), account("gpu"))
    found = await asyncio.gather(*(hub.refresh() for _ in range(5)))
    assert all(one is changed for one in found)
    assert fake.source.reads == 1
    assert hub.config is changed
    fake.source.changed = first
    await hub.check("qnib", PASSWORD, "")
    assert hub.config is first


async def test_one_that_gives_up_does_not_stop_the_reading(start: Started) -> None:
    fake = start()
    fake.source.changed = changed = config()
    waiting = asyncio.create_task(fake.hub.refresh())
    await asyncio.sleep(0)
    waiting.cancel()
    assert await fake.hub.refresh() is changed


# --- what a client is


async def test_by_its_login(start: Started) -> None:
    hub = start().hub
    login = await hub.check("qnib-type1", PASSWORD, "")
    selected = hub.select(Shown(address="", login=login))
    assert (selected.machine, selected.by) == (TYPES["type1"], Selector.USER)


@pytest.mark.parametrize(
    ("address", "type_name"), [("192.0.2.7", "type1"), ("::ffff:192.0.2.7", "type1")]
)
def test_by_its_address(start: Started, address: str, type_name: str) -> None:
    rule = NetworkRule(network=NETWORK, type=type_name, account="qnib")
    hub = start(config(networks=(rule,))).hub
    assert hub.select(Shown(address=address)).machine is TYPES[type_name]
    for other in ("", "198.51.100.1"):
        with pytest.raises(NotSelected):
            hub.select(Shown(address=other))


def test_by_its_certificate(start: Started, tmp_path: Path) -> None:
    authority, certificate, _ = make_authority(tmp_path, "127.0.0.1")
    shown = ShownCertificate.of([PEM_cert_to_DER_cert(certificate.read_text())])
    rule = CertificateRule(type="type2", account="qnib", authority=str(authority), name="reg*")
    hub = start(config(certificates=(rule,))).hub
    assert hub.select(Shown(address="", certificate=shown)).machine is TYPES["type2"]
    (tmp_path / "other").mkdir()
    other, _, _ = make_authority(tmp_path / "other", "127.0.0.1")
    hub = start(config(certificates=(replace(rule, authority=str(other)),))).hub
    with pytest.raises(NotSelected):
        hub.select(Shown(address="", certificate=shown))


@pytest.mark.parametrize("content", [None, b"nothing"])
async def test_an_authority_that_cannot_be_read_fits_nobody(
    start: Started, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    _, certificate, _ = make_authority(tmp_path, "127.0.0.1")
    shown = ShownCertificate.of([PEM_cert_to_DER_cert(certificate.read_text())])
    missing = tmp_path / "missing.pem"
    if content is not None:
        missing.write_bytes(content)
    rule = CertificateRule(type="type2", account="qnib", authority=str(missing))
    hub = start(config(certificates=(rule,))).hub
    login = await hub.check("qnib-type1", PASSWORD, "")
    for _ in range(3):
        assert hub.select(Shown(address="", login=login, certificate=shown)).by is Selector.USER
        with pytest.raises(NotSelected):
            hub.select(Shown(address="", certificate=shown))
    assert len([line for line in caplog.messages if "missing.pem" in line]) == 1


@pytest.mark.parametrize(("days", "fits"), [((-1, 1), True), ((-9, -2), False), ((1, 2), False)])
def test_a_pinned_certificate_has_its_dates(
    start: Started, days: tuple[int, int], fits: bool
) -> None:
    shown = ShownCertificate.of([make("gpu1", days=days).der])
    rule = CertificateRule(type="type2", account="qnib", fingerprint=shown.fingerprint)
    hub = start(config(certificates=(rule,))).hub
    if fits:
        assert hub.select(Shown(address="", certificate=shown)).machine is TYPES["type2"]
    else:
        with pytest.raises(NotSelected):
            hub.select(Shown(address="", certificate=shown))


# --- the registries behind it


@pytest.mark.parametrize(
    ("rules", "upstreams"),
    [
        ((), (DEFAULT,)),
        ((PREFIXED,), (PREFIXED, DEFAULT)),
        ((replace(BEHIND, hosts=("q.hub.test",)),), None),
        ((BEHIND,), (BEHIND,)),
        ((PREFIXED, replace(DEFAULT, username="puller")), None),
    ],
)
def test_one_of_them_is_the_default(
    start: Started, rules: tuple[UpstreamRule, ...], upstreams: tuple[UpstreamRule, ...] | None
) -> None:
    fake = start(config(upstreams=rules))
    found = fake.hub.upstreams
    if upstreams is not None:
        assert found == upstreams
    assert sum(not rule.prefix and not rule.hosts for rule in found) == 1
    assert fake.hub.upstreams is found


async def test_they_are_the_configurations(start: Started) -> None:
    fake = start()
    assert list(fake.hub.upstreams) == [DEFAULT]
    fake.source.changed = config(upstreams=(PREFIXED,))
    await fake.hub.refresh()
    assert list(fake.hub.upstreams) == [PREFIXED, DEFAULT]
    route = fake.hub.route("GET", "/v2/q/a/manifests/latest", "hub.test")
    assert isinstance(route, Route)
    assert (route.rule, route.upstream_name) == (PREFIXED, "a")


# --- the page


async def test_a_matrix(start: Started) -> None:
    fake = start()
    index, (zen2, zen3) = fake.client.put_index(["cpu:zen2"], ["cpu:zen3"], tag="1.0")
    fake.client.tags["latest"] = index
    for image in ("a/b:1.0", " a/b ", f"a/b@{index}", f"a/b:1.0@{index}"):
        matrix = await fake.hub.matrix(account(), image)
        assert (matrix.image, matrix.digest) == (image.strip(), index)
        assert [one.machine.name for one in matrix.decisions] == ["type1", "type2"]
        assert [one.chosen and one.chosen.digest for one in matrix.decisions] == [zen2, zen3]
    fake.source.changed = config(upstreams=(PREFIXED,))
    matrix = await fake.hub.matrix(account(types=("type2",)), "q/a")
    assert [one.machine.name for one in matrix.decisions] == ["type2"]
    assert fake.client.repositories[-1].registry is PREFIXED.registry


@pytest.mark.parametrize(
    "image",
    [
        *("", ":", "a b", "A", "a:", "a:b:c", "a@b", "a@sha256:1", "/a", "a/", "a//b", "../a"),
        *("a/../b", "a%2e", "a?ns=q.test", "a#b", "a\nb", "http://r.test/a", "a" * 3000),
    ],
)
async def test_no_images_name(start: Started, image: str) -> None:
    fake = start()
    with pytest.raises(ImageProblem, match="is no image's name") as caught:
        await fake.hub.matrix(account(), image)
    assert fake.client.asked == []
    assert len(str(caught.value)) < 300


async def test_a_matrix_of_what_an_account_may_not_pull(start: Started) -> None:
    fake = start(config(upstreams=(PREFIXED, replace(DEFAULT, hosts=("r.hub.test",)), BEHIND)))
    fake.client.put_index([], tag="latest")
    for image in ("a/b", "q/a", "r.test/a"):
        with pytest.raises(ImageProblem, match="qnib may not pull it"):
            await fake.hub.matrix(account(pull=("qnib/*",)), image)
    assert fake.client.asked == []


async def test_an_account_without_types_has_no_matrix(start: Started) -> None:
    with pytest.raises(ImageProblem, match="qnib has no machine type"):
        await start().hub.matrix(account(types=()), "a")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (FakeAnswer(status=404), "a:1: the registry answered 404"),
        (FakeAnswer(), "a:1: is no index but a document without a type"),
        (FetchError("no answer"), "a:1: no answer"),
    ],
)
async def test_an_image_that_cannot_be_judged(
    start: Started, answer: FakeAnswer | FetchError, says: str
) -> None:
    fake = start()
    fake.client.answers["HEAD 1"] = answer
    with pytest.raises(ImageProblem, match=says):
        await fake.hub.matrix(account(), "a:1")


async def test_an_account_sees_what_it_may_pull(start: Started) -> None:
    fake = start()
    fake.client.put_index(["cpu:zen4"], tag="latest")
    (decision, _) = (await fake.hub.matrix(account(), "a")).decisions
    for repository in ("qnib/a", "secret/a"):
        fake.hub.recent.note("qnib", repository, f"{repository}:1", decision)
    narrow = account(pull=("qnib/*",))
    assert [made.image for made in fake.hub.decisions(narrow)] == ["qnib/a:1"]
    assert [gap.image for gap in fake.hub.gaps(narrow)] == ["qnib/a:1"]
    assert len(fake.hub.decisions(account())) == len(fake.hub.gaps(account())) == 2


async def test_who_else_pulls_is_told_to_administrators(start: Started) -> None:
    fake = start()
    fake.client.put_index(["cpu:zen4"], tag="latest")
    (decision, _) = (await fake.hub.matrix(account(), "a")).decisions
    for user in ("qnib", "gpu"):
        fake.hub.recent.note(user, "a", "a:1", decision)

    def told(**more: Any) -> list[str]:
        return [made.account for made in fake.hub.decisions(account(**more))]

    assert told() == ["", "qnib"]
    assert told(administrator=True) == ["gpu", "qnib"]
    assert told(user="gpu") == ["gpu", ""]


# --- changes


async def test_who_administers_may_change_types(
    start: Started, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    fake = start()
    chief = account(administrator=True)
    await fake.hub.put_type(chief, {"name": "type3"})
    await fake.hub.remove_type(chief, "type1")
    assert fake.source.edits == ["put type3", "remove type1"]
    says = "qnib has changed machine type"
    assert caplog.messages == [f"{says} type3", f"{says} type1"]
    assert fake.source.reads == 2  # it holds at once
    assert await fake.hub.is_ready() == ""


async def test_nobody_else_may(start: Started) -> None:
    fake = start()
    with pytest.raises(NotAllowed, match="qnib is no administrator"):
        await fake.hub.put_type(account(), {"name": "type3"})
    with pytest.raises(NotAllowed):
        await fake.hub.remove_type(account(), "type1")
    assert fake.source.edits == []


async def test_a_change_of_what_is_another_by_now(start: Started) -> None:
    fake, chief = start(), account(administrator=True)
    one, two = digest_of(TYPES["type1"]), digest_of(TYPES["type2"])
    await fake.hub.put_type(chief, {"name": "type1"}, one)
    await fake.hub.put_type(chief, {"name": "type3"}, "")
    await fake.hub.remove_type(chief, "type2", two)
    done = list(fake.source.edits)
    assert done == ["put type1", "put type3", "remove type2"]
    for name, shown in (("type1", two), ("type1", ""), ("type3", one)):
        with pytest.raises(Crossed, match=f"machine type {name} (is another|has gone) by now"):
            await fake.hub.put_type(chief, {"name": name}, shown)
        with pytest.raises(Crossed):
            await fake.hub.remove_type(chief, name, shown)
    with pytest.raises(NotAllowed):
        await fake.hub.put_type(account(), {"name": "type1"}, two)
    assert fake.source.edits == done


async def test_it_is_held_against_the_file_as_it_is_now(start: Started) -> None:
    """Another hub, or an editor, has changed it since this one last looked."""
    fake, chief = start(), account(administrator=True)
    now = {**TYPES, "type1": TYPES["type2"]}
    fake.source.changed = replace(config(), types=now)
    with pytest.raises(Crossed):
        await fake.hub.put_type(chief, {"name": "type1"}, digest_of(TYPES["type1"]))
    assert fake.source.edits == []


async def test_of_two_at_once_one_is_first(start: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    fake, chief = start(), account(administrator=True)
    shown = digest_of(TYPES["type1"])

    def put(text: Mapping[str, object]) -> None:
        fake.source.changed = replace(config(), types={**TYPES, "type1": TYPES["type2"]})

    monkeypatch.setattr(fake.source, "put_type", put)
    both = (fake.hub.put_type(chief, {"name": "type1"}, shown) for _ in range(2))
    found = await asyncio.gather(*both, return_exceptions=True)
    assert [type(one) for one in found] == [type(None), Crossed]


async def test_it_is_ready_whatever_registries_do(start: Started) -> None:
    fake = start()
    fake.client.answers["HEAD latest"] = FetchError("no answer")
    with pytest.raises(ImageProblem):
        await fake.hub.matrix(account(), "a")
    asked = len(fake.client.asked)
    assert await fake.hub.is_ready() == ""
    assert len(fake.client.asked) == asked


async def test_it_is_not_ready_while_its_file_cannot_be_read(
    start: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What holds up every request holds this up as well; /readyz waits for some seconds."""
    fake, asks, hangs = start(), Event(), Event()
    read = fake.source.current

    def current() -> HubConfig:
        asks.set()
        hangs.wait()
        return read()

    monkeypatch.setattr(fake.source, "current", current)
    fake.source.changed = config()
    asked = asyncio.create_task(fake.hub.is_ready())
    try:
        assert await asyncio.to_thread(asks.wait, 20)
        assert not asked.done()
    finally:
        hangs.set()
    assert await asked == ""
    assert fake.source.reads == 1


async def test_what_cannot_be_written_is_told(
    start: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str) -> None:
        raise ReadOnly("no")

    fake = start()
    monkeypatch.setattr(fake.source, "remove_type", refuse)
    with pytest.raises(ReadOnly):
        await fake.hub.remove_type(account(administrator=True), "type1")
