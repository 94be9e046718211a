import pytest

from metahub_addon.local_hosts import Kind, is_local_host, kind_of, may_lead

PUBLIC, PRIVATE, LINK, OWN = "8.8.8.8", "10.0.0.1", "169.254.169.254", "127.0.0.1"


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


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        *(("8.8.8.8", Kind.PUBLIC), ("2606:4700::1111", Kind.PUBLIC)),
        *(("::ffff:8.8.8.8", Kind.PUBLIC), ("64:ff9b::808:808", Kind.PUBLIC)),
        *(("10.1.2.3", Kind.PRIVATE), ("172.16.0.1", Kind.PRIVATE), ("fd00::1", Kind.PRIVATE)),
        *(("100.64.0.1", Kind.PRIVATE), ("192.0.2.1", Kind.PRIVATE)),
        *(("2002:a00:1::", Kind.PRIVATE), ("64:ff9b::a00:1", Kind.PRIVATE)),
        *(("169.254.169.254", Kind.LINK), ("fe80::1%eth0", Kind.LINK), ("ff02::1", Kind.LINK)),
        *(("::ffff:169.254.169.254", Kind.LINK), ("224.0.0.1", Kind.LINK)),
        *(("127.0.0.1", Kind.OWN), ("127.0.1.1", Kind.OWN), ("::1", Kind.OWN), ("[::1]", Kind.OWN)),
        *(("0.0.0.0", Kind.OWN), ("::", Kind.OWN), ("::ffff:127.0.0.1", Kind.OWN)),
        *(("", Kind.PUBLIC), ("registry.example", Kind.PUBLIC)),
    ],
)
def test_kinds(address: str, kind: Kind) -> None:
    assert kind_of(address) is kind


@pytest.mark.parametrize(
    ("leader", "led"),
    [
        (PUBLIC, [PUBLIC]),
        (PRIVATE, [PUBLIC, PRIVATE]),
        (LINK, [PUBLIC, LINK]),
        (OWN, [PUBLIC, PRIVATE, OWN]),
    ],
)
def test_who_may_lead_where(leader: str, led: list[str]) -> None:
    for address in (PUBLIC, PRIVATE, LINK, OWN):
        assert may_lead(leader, "a.example", [address]) is (address in led)
        assert may_lead(leader, "a.example", [PUBLIC, address]) is (address in led)


@pytest.mark.parametrize(
    "host",
    [
        *("intranet", "ip6-localhost", "ip6-loopback", "printer.local", "LOCALHOST."),
        *("metadata.google.internal", "x.localhost", "kubernetes.default.svc"),
        *("kubernetes.default.svc.cluster.local", "nas.home.arpa."),
    ],
)
def test_names_that_are_local_whatever_their_address(host: str) -> None:
    assert not may_lead(PUBLIC, host, [PUBLIC])
    assert may_lead(PRIVATE, host, [PUBLIC])
    assert may_lead(OWN, host, [PRIVATE])


@pytest.mark.parametrize("host", ["auth.example", "local.example", "internal.", "2606:4700::1111"])
def test_names_that_may_be_public(host: str) -> None:
    assert may_lead(PUBLIC, host, [PUBLIC]) is (host != "internal.")
