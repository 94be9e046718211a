"""What is wanted on a node, for each mode, runtime and distribution: pure tables."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer.desired import Desired, desire
from installer.distro import DEBIAN, RED_HAT, SUSE, Distro
from installer.entry import Entry
from installer.facts import Daemon, Facts, Source
from installer.found import Found
from installer.items import File, Item
from installer.problem import Problem
from installer.states import State
from installer.steps import Change, Control, Hint, Put, Step, Undo, plan
from installer.trust_store import TrustStore
from installer.wanted import MODES, RUNTIMES, WELL_KNOWN, Wanted, is_concrete

SOURCE = Source(Path("/checkout"), "1.2-abc", "/usr/bin/python3", (3, 11))
ALL = frozenset(RUNTIMES)


def facts(distro: Distro = DEBIAN, **changes: Any) -> Facts:
    return replace(Facts(distro, SOURCE, runtimes=ALL), **changes)


def keys(desired: Desired) -> set[str]:
    return {item.key for item in desired.items}


def text_of(desired: Desired, path: str) -> str:
    item = next(item for item in desired.items if item.key == path)
    assert isinstance(item, File)
    return item.content.decode()


ALWAYS = {
    "account:metahub",
    "/opt/metahub/1.2-abc",
    "/opt/metahub/current",
    "/etc/metahub/config.yaml",
    "/etc/metahub/profile.yaml",
    "authority",
    "/etc/systemd/system/metahub.service",
    "/etc/systemd/system/multi-user.target.wants/metahub.service",
}
FIREWALL = {
    "/etc/metahub/firewall.nft",
    "/etc/systemd/system/metahub-firewall.service",
    "/etc/systemd/system/multi-user.target.wants/metahub-firewall.service",
    "/etc/systemd/system/metahub.service.d/metahub.conf",
}
BY_MODE = {
    "transparent": FIREWALL | {"/etc/metahub/heartbeat.nft"},
    "proxy": FIREWALL,
    "mirror": set(),
}
BY_ROUTE = {
    ("proxy", "docker"): {"/etc/systemd/system/docker.service.d/metahub.conf"},
    ("proxy", "containerd"): {"/etc/systemd/system/containerd.service.d/metahub.conf"},
    ("proxy", "podman"): {"/etc/containers/containers.conf.d/metahub.conf"},
    ("mirror", "docker"): {"/etc/docker/daemon.json"},
    ("mirror", "containerd"): {
        "/etc/containerd/certs.d/_default/hosts.toml",
        "/etc/containerd/config.toml",
    },
    ("mirror", "podman"): {"/etc/containers/registries.conf.d/metahub.conf"},
}
ANCHORS = {
    DEBIAN.name: "/usr/local/share/ca-certificates/metahub-node-ca.crt",
    RED_HAT.name: "/etc/pki/ca-trust/source/anchors/metahub-node-ca.pem",
    SUSE.name: "/etc/pki/trust/anchors/metahub-node-ca.pem",
}


@pytest.mark.parametrize("distro", [DEBIAN, RED_HAT, SUSE], ids=lambda distro: str(distro.name))
@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("mode", MODES)
def test_each_mode_runtime_and_distribution(mode: str, runtime: str, distro: Distro) -> None:
    here = facts(distro, runtimes=frozenset({runtime}))
    desired = desire(Wanted(runtime, mode, registries=("reg.test:5000",)), here)
    expected = ALWAYS | BY_MODE[mode] | BY_ROUTE.get((mode, runtime), set())
    concrete = [name for name in (*WELL_KNOWN, "reg.test:5000") if is_concrete(name)]
    if mode != "mirror":
        expected.add(f"trust:{ANCHORS[distro.name]}")
        if runtime == "docker":
            expected |= {f"/etc/docker/certs.d/{name}/metahub.crt" for name in concrete}
    elif runtime == "podman":
        ports = range(20443, 20443 + len(concrete))
        expected |= {f"/etc/containers/certs.d/127.0.0.1:{port}/metahub.crt" for port in ports}
    assert keys(desired) == expected
    assert desired == desire(Wanted(runtime, mode, registries=("reg.test:5000",)), here)


def test_the_firewall_returns_with_those_who_flush_it() -> None:
    desired = desire(Wanted(), facts(firewalls=("nftables.service", "firewalld.service")))
    folder = "/etc/systemd/system"
    for unit in ("nftables.service", "firewalld.service"):
        assert f"{folder}/{unit}.wants/metahub-firewall.service" in keys(desired)


def test_transparent_mode_concerns_all_runtimes() -> None:
    desired = desire(Wanted("podman"), facts())
    assert desired.runtimes == ("containerd", "docker", "podman")
    assert any("all runtimes of the node" in hint for hint in desired.hints)
    assert desire(Wanted("podman", "proxy"), facts()).runtimes == ("podman",)


@pytest.mark.parametrize(
    ("wanted", "changes", "message"),
    [
        (Wanted(), {"runtimes": frozenset()}, "nothing pulls images here"),
        (Wanted("docker"), {"runtimes": frozenset({"podman"})}, "--runtime docker: is not inst"),
        (Wanted(), {"others": ("crio.service",)}, "^crio.service: pulls images, too"),
        (Wanted(mode="proxy"), {"proxies": ("/etc/x.conf",)}, r"^/etc/x\.conf: .* another proxy"),
        (Wanted(mode="mirror"), {"docker_flags": "--registry-mirror=x"}, "as a flag"),
        (Wanted(mode="mirror"), {"containerd_config": "="}, r"config\.toml: is not TOML"),
        (Wanted(registries=("r.test:17443",)), {}, "a registry's own"),
    ],
)
def test_what_can_not_be(wanted: Wanted, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(Problem, match=message):
        desire(wanted, facts(**changes))


@pytest.mark.parametrize(
    ("wanted", "changes", "hint"),
    [
        (Wanted(), {"found": Found(insecure=("lab.test",))}, "lab.test is used without verifying"),
        (
            Wanted(),
            {"found": Found(personal=("shown.test",))},
            "shown.test is shown a certificate of this node's, whose key the proxy has not",
        ),
        (Wanted(), {"found": Found(vouching=("own.test",))}, "whoever has the keys of own.test's"),
        (Wanted(), {"rootless": True}, "once they were restarted after this"),
        (Wanted(), {"proxies": ("/etc/x.conf",)}, "past metahub"),
        (Wanted(mode="proxy"), {}, "pulls fail while metahub.service is stopped"),
        (Wanted(mode="proxy"), {"engine_environment": True}, "sets env already"),
        (Wanted(mode="mirror"), {}, "docker takes mirrors for docker.io alone"),
        (Wanted(mode="mirror"), {"hosts": ("_default",)}, "_default/hosts.toml is yours"),
        (Wanted(mode="mirror"), {"containerd_config": "[plugins]\n"}, "is of version 1"),
        (Wanted(mode="mirror"), {"containerd_config": 'disabled_plugins = ["cri"]'}, "disabled"),
        (Wanted(mode="mirror"), {"found": Found(configured=("quay.io",))}, "for quay.io"),
    ],
)
def test_what_the_operator_should_know(wanted: Wanted, changes: dict[str, Any], hint: str) -> None:
    assert any(hint in text for text in desire(wanted, facts(**changes)).hints)
    assert not any(hint in text for text in desire(Wanted("containerd"), facts()).hints)


def test_files_of_users_are_left_where_they_rule() -> None:
    here = facts(hosts=("_default", "reg.test"), engine_environment=True)
    mirror = desire(Wanted(mode="mirror"), here)
    assert "/etc/containerd/certs.d/_default/hosts.toml" not in keys(mirror)
    proxy = desire(Wanted(mode="proxy"), here)
    assert "/etc/containers/containers.conf.d/metahub.conf" not in keys(proxy)
    own = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/own"\n'
    mirror = desire(Wanted(mode="mirror"), facts(containerd_config=own))
    assert "/own/_default/hosts.toml" in keys(mirror)
    assert "/etc/containerd/config.toml" not in keys(mirror)


@pytest.mark.parametrize("kind", ["insecure", "personal"])
def test_registries_that_are_left_alone_can_be_asked_for(kind: str) -> None:
    here = facts(found=replace(Found(), **{kind: ("lab.test",)}))
    assert '"lab.test"' not in text_of(desire(Wanted(), here), "/etc/metahub/config.yaml")
    asked = desire(Wanted(registries=("lab.test",)), here)
    assert '"lab.test"' in text_of(asked, "/etc/metahub/config.yaml")
    assert asked.hints == ()


def test_no_pattern_takes_in_what_is_left_alone() -> None:
    found = Found(("reg.test:5000",), ("quay.io",), ("own.azurecr.io", "reg.test"))
    config = text_of(desire(Wanted(), facts(found=found)), CONFIG)
    assert '"quay.io"' not in config
    assert '"*.azurecr.io"' not in config
    assert '"*.gcr.io"' in config
    assert '"reg.test:5000"' in config
    asked = desire(Wanted(registries=("*.azurecr.io",)), facts(found=found))
    assert '"*.azurecr.io"' in text_of(asked, CONFIG)


def test_a_docker_that_may_not_be_restarted_waits() -> None:
    desired = desire(Wanted(registries=("reg.test",)), facts(), docker_must_wait=True)
    config = text_of(desired, "/etc/metahub/config.yaml")
    assert '"registry-1.docker.io"' not in config
    assert "*" not in config
    assert '"quay.io"' in config
    assert '"reg.test"' in config
    assert any("not optimised: docker.io" in hint for hint in desired.hints)


def test_a_docker_that_waits_does_not_matter_to_mirrors() -> None:
    assert desire(Wanted(mode="mirror"), facts(), True) == desire(Wanted(mode="mirror"), facts())


def entry(key: str, kind: str = "paths") -> Entry:
    return Entry(key, kind, {key: State("absent")}, {key: State("file")})


RUNNING = facts(
    docker=Daemon(True, 100.0),
    containerd=Daemon(True, 100.0),
    active=frozenset({"metahub.service", "metahub-firewall.service"}),
    table_loaded=True,
)


def item(desired: Desired, key: str) -> Item:
    return next(item for item in desired.items if item.key == key)


def shown(steps: tuple[Step, ...]) -> list[str]:
    """Steps in short: what is put or undone, and commands."""
    words = []
    for step in steps:
        match step:
            case Put(put, keep):
                words.append(f"put {put.key}{' keep' * keep}")
            case Undo(undone):
                words.append(f"undo {undone.key}")
            case Control(verb, unit):
                words.append(f"{verb} {unit}".strip())
            case Hint():
                words.append("hint")
    return words


CONFIG, UNIT = "/etc/metahub/config.yaml", "/etc/systemd/system/metahub.service"
TABLE = "/etc/metahub/firewall.nft"
DROP_IN = "/etc/systemd/system/docker.service.d/metahub.conf"
TRUST = f"trust:{ANCHORS['Debian']}"


@pytest.mark.parametrize(
    ("mode", "puts", "undos", "changes", "expected"),
    [
        ("transparent", [], [], {}, []),
        (
            "transparent",
            [CONFIG],
            [],
            {},
            [f"put {CONFIG}", "restart metahub.service"],
        ),
        ("transparent", ["/etc/metahub/profile.yaml"], [], {}, ["put /etc/metahub/profile.yaml"]),
        (
            "transparent",
            [UNIT],
            [],
            {},
            [f"put {UNIT}", "daemon-reload", "restart metahub.service"],
        ),
        ("transparent", [TABLE], [], {}, [f"put {TABLE}", "reload metahub-firewall.service"]),
        # A port more may give others a new layers port: the old proxy knows it by the old one.
        (
            "transparent",
            [CONFIG, TABLE],
            [],
            {},
            [
                f"put {CONFIG}",
                f"put {TABLE}",
                "stop metahub.service",
                "reload metahub-firewall.service",
                "start metahub.service",
            ],
        ),
        ("transparent", [], [], {"table_loaded": False}, ["reload metahub-firewall.service"]),
        (
            "transparent",
            [],
            [],
            {"active": frozenset(), "table_loaded": False},
            ["restart metahub-firewall.service", "start metahub.service"],
        ),
        # Runtimes trust the CA before anything reaches the proxy.
        (
            "transparent",
            [CONFIG, TRUST],
            [],
            {},
            [
                f"put {CONFIG}",
                f"put {TRUST}",
                "restart containerd.service",
                "restart docker.service",
                "restart metahub.service",
            ],
        ),
        (
            "transparent",
            [TRUST],
            [],
            {"docker": Daemon(), "containerd": Daemon()},
            [f"put {TRUST}"],
        ),
        (
            "transparent",
            [TRUST],
            [],
            {"docker_holds": 3},
            [f"put {TRUST}", "restart containerd.service", "hint"],
        ),
        # A restart that an earlier run could not do.
        ("transparent", [], [], {"due": {"docker": 101.0}}, ["restart docker.service"]),
        ("transparent", [], [], {"due": {"docker": 99.0}}, []),
        ("transparent", [], [], {"due": {"docker": 101.0}, "docker_holds": -1}, ["hint"]),
        # From proxy to transparent: the way to the proxy goes before its port does.
        (
            "transparent",
            [CONFIG],
            [DROP_IN],
            {},
            [
                f"put {CONFIG}",
                f"undo {DROP_IN}",
                "daemon-reload",
                "restart docker.service",
                "restart metahub.service",
            ],
        ),
        # To proxy mode: the port is there before runtimes are sent to it.
        (
            "proxy",
            [CONFIG, DROP_IN],
            [],
            {},
            [
                f"put {CONFIG}",
                f"put {DROP_IN}",
                "daemon-reload",
                "restart metahub.service",
                "restart docker.service",
            ],
        ),
        # To mirrors: what ends the interception comes last, trust after the redirect.
        (
            "mirror",
            [CONFIG, "/etc/docker/daemon.json", "/etc/containerd/config.toml"],
            [TRUST, "/etc/systemd/system/metahub-firewall.service"],
            {},
            [
                f"put {CONFIG}",
                "put /etc/docker/daemon.json",
                "put /etc/containerd/config.toml",
                "restart containerd.service",
                "reload docker.service",
                "restart metahub.service",
                "stop metahub-firewall.service",
                f"undo {TRUST}",
                "undo /etc/systemd/system/metahub-firewall.service",
                "daemon-reload",
            ],
        ),
        (
            "transparent",
            ["/opt/metahub/1.2-abc", "/opt/metahub/current"],
            ["/opt/metahub/1.1-old"],
            {},
            [
                "put /opt/metahub/1.2-abc",
                "put /opt/metahub/current",
                "restart metahub.service",
                "undo /opt/metahub/1.1-old",
            ],
        ),
    ],
)
def test_the_order_of_steps(
    mode: str, puts: list[str], undos: list[str], changes: dict[str, Any], expected: list[str]
) -> None:
    here = replace(RUNNING, **changes)
    desired = desire(Wanted(mode=mode), here)
    change = Change(tuple(item(desired, key) for key in puts), tuple(map(entry, undos)))
    # A restart of the firewall's unit reads its table; that is a matter of another case.
    assert shown(plan(desired, here, change)) == expected


def test_what_a_user_has_edited_is_kept() -> None:
    desired = desire(Wanted(), RUNNING)
    change = Change((item(desired, CONFIG),), edited=frozenset({CONFIG}))
    steps = plan(desired, RUNNING, change)
    assert shown(steps)[0] == f"put {CONFIG} keep"
    assert "your version is kept" in str(steps[0])


def test_each_step_is_a_line() -> None:
    desired = desire(Wanted(mode="mirror"), facts())
    everything = Change(desired.items, (entry(TABLE),))
    for step in plan(desired, RUNNING, everything):
        assert str(step)
        assert "\n" not in str(step)
    assert TrustStore(SUSE).key in {f"trust:{ANCHORS['SUSE']}"}


def test_no_proxy_names_the_layers_ports() -> None:
    wanted = Wanted(mode="proxy", registries=("reg.test:5000", "*.wild.test:5001"))
    text = text_of(desire(wanted, facts()), "/etc/containers/containers.conf.d/metahub.conf")
    assert "quay.io:17443," in text
    assert "reg.test:17444" in text
    assert "wild" not in text
    assert "http_proxy = false" in text


def test_configuration_is_sound_yaml() -> None:
    yaml = pytest.importorskip("yaml")
    desired = desire(Wanted(registries=("[2001:db8::1]:5000",)), facts())
    options = yaml.safe_load(text_of(desired, CONFIG))
    assert options["mode"] == ["transparent@127.0.0.1:18082", "transparent@::1:18082"]
    assert options["metahub_registries"] == [*WELL_KNOWN, "[2001:db8::1]:5000"]
    assert options["metahub_layers_port"] == 17443
    assert options["metahub_firewall_port"] == 18083
    assert options["ssl_verify_upstream_trusted_ca"] == "/run/metahub/trust.pem"
    assert options["block_global"] is False


def test_no_folder_hides_the_authority_of_a_registry_from_podman() -> None:
    desired = desire(Wanted(registries=("reg.test:443",)), facts())
    assert not any(key.startswith("/etc/containers/certs.d") for key in keys(desired))
    for name in ("reg.test", "reg.test:443"):
        assert f"/etc/docker/certs.d/{name}/metahub.crt" in keys(desired)


def test_without_ipv6() -> None:
    desired = desire(Wanted(), facts(ipv6=False))
    assert "::1" not in text_of(desired, CONFIG)
    assert "ip6 daddr !=" not in text_of(desired, TABLE)


def test_what_listens_on_the_node_itself_is_not_redirected() -> None:
    table = text_of(desire(Wanted(), facts()), TABLE)
    redirects = [line for line in table.splitlines() if "redirect to" in line]
    assert len(redirects) == 2
    assert "ip daddr != 127.0.0.0/8 ip daddr != @direct4" in redirects[0]
    assert "ip6 daddr != ::1 ip6 daddr != @direct6" in redirects[1]


def test_mirrors_have_a_listener_each() -> None:
    yaml = pytest.importorskip("yaml")
    desired = desire(Wanted("podman", "mirror", registries=("reg.test:5000",)), facts())
    options = yaml.safe_load(text_of(desired, CONFIG))
    mirrors = text_of(desired, "/etc/containers/registries.conf.d/metahub.conf")
    tomllib = __import__("tomllib")
    tables = tomllib.loads(mirrors)["registry"]
    by_port = {}
    for table in tables:
        assert table["mirror"][0]["pull-from-mirror"] == "tag-only"
        by_port[table["mirror"][0]["location"].partition(":")[2]] = table["prefix"]
    for listener in options["mode"]:
        upstream, _, port = listener.removeprefix("reverse:https://").partition("@127.0.0.1:")
        name = by_port.pop(port)
        expected = {"docker.io": "registry-1.docker.io:443", "reg.test:5000": "reg.test:5000"}
        assert upstream == expected.get(name, f"{name}:443")
    assert by_port == {}
    assert options["metahub_layers_port"] == options["metahub_firewall_port"] == 0


def test_docker_and_containerd_need_one_mirror() -> None:
    yaml = pytest.importorskip("yaml")
    desired = desire(Wanted("docker", "mirror"), facts())
    only = ["reverse:https://registry-1.docker.io:443@127.0.0.1:20443"]
    assert yaml.safe_load(text_of(desired, CONFIG))["mode"] == only
    assert json.loads(text_of(desired, "/etc/docker/daemon.json")) == {
        "registry-mirrors": ["https://127.0.0.1:20443"]
    }
