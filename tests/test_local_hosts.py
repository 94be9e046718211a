import pytest

from metahub_addon.local_hosts import is_local_host


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "x.localhost",
        "127.0.0.1",
        "127.0.0.1.",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "[::1]",
        "::",
        "fe80::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        # What the C library takes for addresses, too.
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "8.8.8.0x8",
        "1.2.3.4.5",
        "not:an:address",
        # What is no name.
        "%31%32%37.0.0.1",
        "reg%2etest",
        "a\\b.test",
        "a b",
        "\uff11\uff12\uff17.0.0.1",
        "tést.example",
    ],
)
def test_local(host: str) -> None:
    assert is_local_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "registry.example",
        "auth.docker.io",
        "localhost.example",
        "notlocalhost",
        "xn--tst-bma.example",
        "a_b.example.",
        "1.example",
        "0x7f.example",
        "8.8.8.8",
        "[2606:4700::1111]",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::",
        "",
    ],
)
def test_public(host: str) -> None:
    assert not is_local_host(host)
