import asyncio
import base64
import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from metahub_addon.credentials import Credentials
from metahub_addon.hub_config import UpstreamRule
from metahub_addon.upstream import Registry
from metahub_addon.upstream_credentials import CredentialsError, UpstreamCredentials
from support.fake_timer import FakeTimer

PLACE = Registry(scheme="https", host="r.test", port=443, authority="r.test")


def with_password(path: Path, registry: Registry = PLACE) -> UpstreamRule:
    return UpstreamRule(name="r", registry=registry, username="ann", password_file=str(path))


def with_config(path: Path, document: object, registry: Registry = PLACE) -> UpstreamRule:
    path.write_text(json.dumps(document))
    return UpstreamRule(name="r", registry=registry, docker_config=str(path))


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A helper that counts its calls in a file, which the fixture names."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    calls.write_text("")
    path = folder / "docker-credential-test"
    answer = """{"Username":"ann","Secret":"'$(wc -l < """ + str(calls) + """)'"}"""
    path.write_text(
        f"#!/bin/sh\necho x >> {calls}\n[ ! -e {calls}.no ] || exit 7\necho '{answer}'\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return calls


@pytest.mark.parametrize(
    ("text", "password"),
    [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), (" pw \n\n", " pw \n"), ("pä", "pä")],
)
async def test_a_password_file(tmp_path: Path, text: str, password: str) -> None:
    path = tmp_path / "pw"
    path.write_bytes(text.encode())
    found = await UpstreamCredentials([with_password(path)]).credentials_for(PLACE)
    assert found == Credentials(username="ann", password=password)


async def test_a_docker_configuration(tmp_path: Path) -> None:
    auth = base64.b64encode(b"ann:pw").decode()
    rule = with_config(tmp_path / "c.json", {"auths": {"r.test": {"auth": auth}}})
    found = await UpstreamCredentials([rule]).credentials_for(PLACE)
    assert found == Credentials(username="ann", password="pw")
    other = with_config(tmp_path / "c.json", {"auths": {"other": {"auth": auth}}})
    assert await UpstreamCredentials([other]).credentials_for(PLACE) is None


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (PLACE, True),
        (replace(PLACE, authority="R.test:443", host="R.TEST"), True),
        (replace(PLACE, sni="r.test", verified=True), True),
        (replace(PLACE, authority="r.test:5000", port=5000), False),
        (replace(PLACE, scheme="http"), False),
        (replace(PLACE, host="192.0.2.1"), False),
        (replace(PLACE, authority="other.test"), False),
    ],
)
async def test_a_host_header_alone_gets_no_password(
    tmp_path: Path, asked: Registry, found: bool
) -> None:
    path = tmp_path / "pw"
    path.write_text("pw")
    credentials = UpstreamCredentials([with_password(path)])
    assert (await credentials.credentials_for(asked) is not None) is found


async def test_upstreams_without_credentials() -> None:
    anonymous = UpstreamCredentials([UpstreamRule(name="r", registry=PLACE)])
    assert await anonymous.credentials_for(PLACE) is None
    assert await UpstreamCredentials([]).credentials_for(PLACE) is None


async def test_changed_upstreams_are_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    path.write_text("pw")
    credentials = UpstreamCredentials([])
    credentials.use([with_password(path)])
    assert await credentials.credentials_for(PLACE)
    credentials.use([])
    assert await credentials.credentials_for(PLACE) is None


async def test_of_two_upstreams_the_first_with_credentials_counts(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    path.write_text("pw")
    without = UpstreamRule(name="default", registry=PLACE)
    other = replace(with_password(path), username="bob")
    credentials = UpstreamCredentials([without, with_password(path), other, without])
    found = await credentials.credentials_for(PLACE)
    assert found == Credentials(username="ann", password="pw")


async def test_a_changed_file_is_taken_up(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    credentials = UpstreamCredentials([with_password(path)])
    for password in ("one", "three"):
        path.write_text(password)
        found = await credentials.credentials_for(PLACE)
        assert found == Credentials(username="ann", password=password)


async def test_an_unchanged_file_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pw"
    path.write_text("one")
    status = path.stat()
    credentials = UpstreamCredentials([with_password(path)])
    await credentials.credentials_for(PLACE)
    path.write_text("two")  # of the same size, in the same file, and said to be of old
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    found = await credentials.credentials_for(PLACE)
    assert found == Credentials(username="ann", password="one")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"secret\xff", "is not UTF-8"),
        (b"secret" * 200_000, "is larger than 1048576 bytes"),
    ],
)
async def test_password_files_that_are_none(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "pw"
    if content is not None:
        path.write_bytes(content)
    credentials = UpstreamCredentials([with_password(path)])
    for _ in range(2):
        with pytest.raises(CredentialsError, match=message) as caught:
            await credentials.credentials_for(PLACE)
        assert str(path) in str(caught.value)
        assert "secret" not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
    path.write_text("pw")
    assert await credentials.credentials_for(PLACE)


async def test_a_broken_configuration_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    rule = with_config(path, {"auths": {"r.test": {"auth": "secret"}}})
    with pytest.raises(CredentialsError, match=r"auths\.r\.test\.auth") as caught:
        await UpstreamCredentials([rule]).credentials_for(PLACE)
    assert str(path) in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_a_helper_is_asked_once_in_five_minutes(tmp_path: Path, helper: Path) -> None:
    timer = FakeTimer()
    rule = with_config(tmp_path / "c.json", {"credHelpers": {"r.test": "test"}})
    credentials = UpstreamCredentials([rule], timer)
    asking = (credentials.credentials_for(PLACE) for _ in range(20))
    assert set(await asyncio.gather(*asking)) == {Credentials(username="ann", password="1")}
    timer.wait(299)
    assert await credentials.credentials_for(PLACE) == Credentials(username="ann", password="1")
    timer.wait(2)
    assert await credentials.credentials_for(PLACE) == Credentials(username="ann", password="2")


async def test_a_helper_that_fails_is_named_and_asked_again(tmp_path: Path, helper: Path) -> None:
    rule = with_config(tmp_path / "c.json", {"credsStore": "test"})
    credentials = UpstreamCredentials([rule])
    broken = helper.with_name("calls.no")
    broken.write_text("")
    with pytest.raises(CredentialsError, match="docker-credential-test get: exit code 7"):
        await credentials.credentials_for(PLACE)
    broken.unlink()
    assert await credentials.credentials_for(PLACE) == Credentials(username="ann", password="2")
