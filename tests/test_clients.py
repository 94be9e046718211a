import pytest

from metahub_addon.clients import UNTOUCHED_CLIENTS, is_named


@pytest.mark.parametrize(
    ("agent", "untouched"),
    [
        ("skopeo/1.9.3", True),
        ("Docker-Client/20.10.24 (linux)", True),
        ("docker-client/27", True),
        ("crane/0.20 go-containerregistry/0.20", True),
        ("Mozilla cosign/v2 (linux; amd64)", True),
        ("docker/20.10 go/go1.19 UpstreamClient(Docker-Client/20.10 \\(linux\\))", False),
        ("docker/20.10 (a (skopeo/1))", False),
        ("containerd/1.6.20", False),
        ("containers/5.23.1 (github.com/containers/image)", False),
        ("cri-o/1.30", False),
        ("", False),
    ],
)
def test_is_named(agent: str, untouched: bool) -> None:
    assert is_named(agent, UNTOUCHED_CLIENTS) is untouched


def test_patterns_are_the_users() -> None:
    assert is_named("mine/1", ["mine/"])
    assert not is_named("skopeo/1", ["mine/"])
    assert not is_named("anything", [""])
