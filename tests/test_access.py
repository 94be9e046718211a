import pytest

from metahub_addon.access import may_pull, may_push
from metahub_addon.hub_config import Account


@pytest.mark.parametrize(
    ("patterns", "repository", "may"),
    [
        (("*",), "docker.io/library/nginx", True),
        ((), "nginx", False),
        (("qnib/*",), "qnib/bench", True),
        (("qnib/*",), "qnib/a/b", True),
        (("qnib/*",), "qnib", False),
        (("qnib/*",), "other/qnib/bench", False),
        (("qnib/bench",), "qnib/bench2", False),
        (("a/*", "b/?"), "b/c", True),
        (("a/[bc]",), "a/c", True),
        (("A/*",), "a/b", False),
    ],
)
def test_patterns(patterns: tuple[str, ...], repository: str, may: bool) -> None:
    account = Account(user="a", password="", pull=patterns)
    assert may_pull(account, repository) is may
    assert not may_push(account, repository)
    pusher = Account(user="a", password="", pull=(), push=patterns)
    assert may_push(pusher, repository) is may
    assert not may_pull(pusher, repository)


def test_who_is_not_told_apart_pulls_all_and_pushes_nothing() -> None:
    account = Account(user="a", password="")
    assert may_pull(account, "x/y")
    assert not may_push(account, "x/y")
