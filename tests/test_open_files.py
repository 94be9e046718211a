import resource

import pytest

from metahub_addon.open_files import MOST_CONNECTIONS, connections_of, raise_file_limit

ENDLESS = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("soft", "hard", "files", "is_set"),
    [
        (1024, 524_288, 65_536, (65_536, 524_288)),
        (1024, 4096, 4096, (4096, 4096)),
        (1024, ENDLESS, 65_536, (65_536, ENDLESS)),
        (1024, 1024, 1024, None),
        (100_000, 524_288, 100_000, None),
        (ENDLESS, ENDLESS, 2**31, None),
    ],
)
def test_the_limit(
    soft: int,
    hard: int,
    files: int,
    is_set: tuple[int, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: made.append(limits))
    assert raise_file_limit() == files
    assert made == ([is_set] if is_set else [])


def test_this_processs_own() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
        files = raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (files, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("files", "connections"),
    [(64, 16), (256, 64), (1024, 256), (4096, 1664), (65_536, MOST_CONNECTIONS)],
)
def test_connections(files: int, connections: int) -> None:
    assert connections_of(files) == connections
