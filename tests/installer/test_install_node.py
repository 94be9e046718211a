"""Distributions, registries that a node's configuration names, and where its runtimes are."""

import pytest
from fake_node import OS_RELEASE, FakeNode

from installer.distro import DEBIAN, RED_HAT, SUSE, Distro, find_distro
from installer.found import find_registries
from installer.node import RealCommands
from installer.problem import Problem
from installer.wanted import registry_name


@pytest.mark.parametrize(
    ("text", "distro"),
    [
        (OS_RELEASE["debian"], DEBIAN),
        (OS_RELEASE["ubuntu"], DEBIAN),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", DEBIAN),
        (OS_RELEASE["rocky"], RED_HAT),
        ("ID=fedora\n", RED_HAT),
        ('ID="amzn"\nID_LIKE="fedora"\n', RED_HAT),
        (OS_RELEASE["sles"], SUSE),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', SUSE),
    ],
)
def test_distributions(text: str, distro: Distro) -> None:
    assert find_distro(text) is distro


@pytest.mark.parametrize(
    ("text", "shown"),
    [("ID=alpine\nPRETTY_NAME='Alpine Linux'\n", "Alpine Linux"), ("", "no os-release")],
)
def test_an_unknown_distribution_is_named(text: str, shown: str) -> None:
    with pytest.raises(Problem, match=shown):
        find_distro(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("docker.io", "registry-1.docker.io"),
        ("index.docker.io", "registry-1.docker.io"),
        ("Reg.Test:5000", "reg.test:5000"),
        ("*.azurecr.io", "*.azurecr.io"),
        ("[2001:db8::1]:5000", "[2001:db8::1]:5000"),
        ("[2001:db8::1]", "[2001:db8::1]"),
    ],
)
def test_registry_names(text: str, name: str) -> None:
    assert registry_name(text) == name


@pytest.mark.parametrize("text", ["", "https://reg.test", "reg.test:0", "reg.test/name", "a b"])
def test_no_registry(text: str) -> None:
    with pytest.raises(Problem, match=r"--registry '"):
        registry_name(text)


FILES = {
    "/etc/docker/certs.d/a.test/ca.crt": "",
    "/etc/docker/certs.d/docker.io/ca.crt": "",
    "/etc/containers/certs.d/b.test:5000/ca.crt": "",
    "/etc/containerd/certs.d/_default/hosts.toml": "",
    "/etc/containerd/certs.d/c.test_5001_/hosts.toml": 'server = "https://c.test:5001"',
    "/etc/containerd/certs.d/skipped.test/hosts.toml": '[host."https://x"]\nskip_verify = true',
    "/etc/containerd/certs.d/ca.test/hosts.toml": 'ca = ["/etc/own.pem"]',
    "/etc/containerd/certs.d/metahub.test/hosts.toml": 'ca = "/etc/metahub/mitmproxy-ca-cert.pem"',
    "/etc/docker/certs.d/shown.test:5000/client.cert": "",
    "/etc/docker/certs.d/shown.test:5000/client.key": "",
    "/etc/containers/certs.d/half.test/client.key": "",
    "/etc/containerd/certs.d/pair.test/hosts.toml": """
        server = "https://pair.test"
        [host."https://pair.test"]
        client = [["/etc/pair.pem", "/etc/pair.key"]]
    """,
    "/etc/containerd/certs.d/one.test/hosts.toml": 'client = "/etc/one.pem"',
    "/etc/docker/daemon.json": """{
        "insecure-registries": ["lab.test:5000", "10.0.0.0/8"],
        "registry-mirrors": ["https://mirror.test:6000/", "http://plain.test",
                             "https://127.0.0.1:20443"]
    }""",
    "/etc/containers/registries.conf": """
        unqualified-search-registries = ["docker.io", "quay.io", "shown.test:5000"]
        [[registry]]
        prefix = "d.test/team"
        location = "e.test/team"
        [[registry.mirror]]
        location = "f.test:7000"
        insecure = true
        [[registry]]
        location = "blocked.test"
        blocked = true
    """,
    "/etc/containers/registries.conf.d/broken.conf": "= not TOML",
}


def test_registries_of_the_node(node: FakeNode) -> None:
    for path, text in FILES.items():
        node.write(path, text)
    found = find_registries(node.node, set())
    assert found.registries == (
        "a.test",
        "registry-1.docker.io",
        "b.test:5000",
        "c.test:5001",
        "ca.test",
        "metahub.test",
        "mirror.test:6000",
        "quay.io",
        "e.test",
    )
    assert found.insecure == ("skipped.test", "lab.test:5000", "f.test:7000")
    assert found.personal == ("shown.test:5000", "half.test", "one.test", "pair.test")
    assert found.vouching == ("a.test", "registry-1.docker.io", "b.test:5000", "ca.test")
    assert found.configured == ("d.test/team", "blocked.test")


def test_what_we_have_written_names_no_registry(node: FakeNode) -> None:
    ours = "/etc/docker/certs.d/a.test/metahub.crt"
    node.write(ours, "")
    assert find_registries(node.node, {ours}).registries == ()
    node.write("/etc/docker/certs.d/a.test/ca.crt", "")
    assert find_registries(node.node, {ours}).registries == ("a.test",)


def test_a_command_that_is_not_there() -> None:
    done = RealCommands().run(("/nonexistent/program",), {})
    assert (done.code, done.errors) == (127, "/nonexistent/program: No such file or directory")


def test_a_command_does_not_get_our_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/ours")
    done = RealCommands().run(("sh", "-c", "echo $PYTHONPATH-$OWN"), {"OWN": "given"})
    assert done.output == "-given\n"


def test_a_failed_command_says_its_last_words(node: FakeNode) -> None:
    real = type(node.node)(node.root, RealCommands())
    with pytest.raises(Problem, match=r"^sh -c .*: one / two$"):
        real.must("sh", "-c", "echo one >&2; echo two >&2; exit 3")
    with pytest.raises(Problem, match="exit code 3"):
        real.must("sh", "-c", "exit 3")
