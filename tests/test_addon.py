"""The hooks by themselves: options, what is streamed, what is counted."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mitmproxy import exceptions, http
from mitmproxy.addons.tlsconfig import TlsConfig
from mitmproxy.addons.upstream_auth import UpstreamAuth
from mitmproxy.test import taddons, tflow, tutils

from metahub_addon.addon import Metahub
from metahub_addon.hub_addon import HubAddon
from metahub_addon.media_types import DOCKER_LIST

PROFILE = Path(__file__).parent.parent / "profiles" / "type1.yaml"
DIGEST = "sha256:" + "a" * 64


class TlsOptions(TlsConfig):
    """Declares mitmproxy's options for TLS, and makes no CA."""

    def configure(self, updated: set[str]) -> None:
        pass


def running(metahub: Metahub) -> "taddons.context":
    hub = HubAddon(metahub.counts, lambda: metahub.untouched)
    return taddons.context(TlsOptions(), UpstreamAuth(), hub, metahub)


# taddons makes an event loop of its own, and leaves it open, unless it finds one running:
# so all of these are asynchronous.
@pytest.fixture
async def addon() -> AsyncIterator[Metahub]:
    metahub = Metahub()
    with running(metahub) as context:
        context.configure(metahub, metahub_profile=str(PROFILE), metahub_timeout=5)
        yield metahub


def headers_of(named: dict[str, str]) -> http.Headers:
    return http.Headers([(n.replace("_", "-").encode(), v.encode()) for n, v in named.items()])


def flow(path: str, method: str = "GET", agent: str = "docker/26", **more: str) -> http.HTTPFlow:
    headers = headers_of({"User-Agent": agent})
    request = tutils.treq(method=method.encode(), path=path.encode(), headers=headers)
    return tflow.tflow(req=request, resp=tutils.tresp(headers=headers_of(more)))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("metahub_profile", "missing.yaml", "metahub_profile: missing.yaml: cannot be read"),
        ("metahub_timeout", 0, "metahub_timeout: must be at least 1"),
        ("metahub_cache_mib", 0, "metahub_cache_mib: must be at least 1"),
    ],
)
async def test_a_wrong_option_is_named(option: str, value: object, says: str) -> None:
    metahub = Metahub()
    with running(metahub) as context, pytest.raises(exceptions.OptionsError, match=says):
        context.configure(metahub, **{option: value})


async def test_http2_is_off() -> None:
    metahub = Metahub()
    with running(metahub) as context:
        assert context.options.http2 is False


@pytest.mark.parametrize(
    ("made", "streamed"),
    [
        (flow("/v2/a/manifests/t", Content_Type=DOCKER_LIST, Content_Length="9"), False),
        (flow(f"/v2/a/manifests/{DIGEST}", Content_Type=DOCKER_LIST, Content_Length="9"), True),
        (flow("/v2/a/manifests/t", Content_Type="text/html", Content_Length="9"), True),
        (flow("/v2/a/manifests/t", agent="skopeo/1", Content_Type=DOCKER_LIST), True),
        (flow(f"/v2/a/blobs/{DIGEST}"), True),
        (flow("/v2/a/blobs/uploads/", "POST"), True),
        (flow("/anything"), True),
    ],
)
async def test_all_is_streamed_but_an_index_to_answer(
    addon: Metahub, made: http.HTTPFlow, streamed: bool
) -> None:
    addon.requestheaders(made)
    assert made.request.stream is True
    await addon.responseheaders(made)
    assert made.response
    assert made.response.stream is streamed


async def test_what_happens_is_counted(addon: Metahub, caplog: pytest.LogCaptureFixture) -> None:
    flows = [
        flow("/v2/a/manifests/t", "HEAD", Content_Type=DOCKER_LIST),  # names no digest
        flow(f"/v2/a/manifests/{DIGEST}"),
        flow("/v2/a/manifests/t", agent="skopeo/1"),
        flow("/v2/a/manifests/t", Content_Type="text/html"),
        flow("/anything"),
    ]
    for made in flows:
        addon.requestheaders(made)
        await addon.responseheaders(made)
    assert addon.show_counts() == ["failed: 1", "passed: 2", "pinned: 1", "untouched: 1"]
    assert "a:t: left as upstream answered: the registry names no digest" in caplog.text
    caplog.set_level("INFO")
    await addon.done()
    assert "metahub: failed: 1" in caplog.text


async def test_a_fault_of_our_own_leaves_the_flow_and_is_counted(
    addon: Metahub, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(addon, "_current_machine", broken)
    made = flow("/v2/a/manifests/t", "HEAD", Content_Type=DOCKER_LIST)
    addon.requestheaders(made)
    assert made.response
    before = made.response.get_state()
    with pytest.raises(ZeroDivisionError):
        await addon.responseheaders(made)
    assert made.response.get_state() == before
    assert addon.counts["failed"] == 1
