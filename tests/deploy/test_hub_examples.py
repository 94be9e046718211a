"""scripts/hub, the hub's Kubernetes manifests and HAProxy's configuration hold together."""

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.manifests import KUBERNETES, SCRIPTS, Container, documents, load
from deploy.test_kubernetes import addon_options
from metahub_addon.hub_config_parser import parse_hub_config
from metahub_addon.oci_platform import Platform
from metahub_addon.passwords import hash_password
from metahub_addon.strict_yaml import InvalidYaml
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import free_port

HUB = SCRIPTS / "start_hub.py"
EXAMPLES = KUBERNETES / "hub"
HAPROXY = SCRIPTS / "haproxy" / "metahub-hub.cfg"
UPSTREAM = "https://registry.example"

hub = load(HUB)


def one(name: str, kind: str) -> dict[str, Any]:
    """The document of a kind in a file of the hub's folder."""
    (found,) = (each for each in documents(EXAMPLES / name) if each["kind"] == kind)
    return found


DEPLOYMENT = one("deployment.yaml", "Deployment")["spec"]
POD = DEPLOYMENT["template"]["spec"]
CONTAINER = Container(POD["containers"][0], POD)
KUSTOMIZATION = one("kustomization.yaml", "Kustomization")
LABELS = DEPLOYMENT["template"]["metadata"]["labels"]


# scripts/hub


def parse(*arguments: str) -> Any:
    return hub.parse(["--upstream", UPSTREAM, *arguments])


def test_the_script_is_sound_and_says_how_it_is_used() -> None:
    assert subprocess.run(["sh", "-n", str(SCRIPTS / "hub")], check=False).returncode == 0
    assert os.access(SCRIPTS / "hub", os.X_OK)
    done = subprocess.run(
        [sys.executable, str(HUB), "--help"], capture_output=True, text=True, check=True
    )
    for option in ("upstream", "machine-types", "listen", "web", "certificate", "upstream-ca"):
        assert f"--{option}" in done.stdout


@pytest.mark.parametrize(
    ("given", "upstream"),
    [
        ("https://registry.example", "https://registry.example:443"),
        ("https://registry.example/", "https://registry.example:443"),
        ("https://registry.example:5000", "https://registry.example:5000"),
        ("http://[::1]", "http://[::1]:80"),
    ],
)
@pytest.mark.parametrize(
    ("listen", "at"),
    [(":443", "443"), ("127.0.0.1:5443", "127.0.0.1:5443"), ("[::1]:5443", "::1:5443")],
)
def test_the_mode(given: str, upstream: str, listen: str, at: str) -> None:
    words = hub.command(hub.parse(["--upstream", given, "--listen", listen]))
    assert words[words.index("--mode") + 1] == f"reverse:{upstream}@{at}"


def test_without_options_it_is_for_this_machine_alone() -> None:
    settings = parse()
    assert settings.name == "127.0.0.1:5443"
    assert "docker login -u qnib-type1 127.0.0.1:5443" in hub.instructions(settings)
    (warning,) = hub.warnings(settings)
    assert "whose passwords everyone knows" in warning


def test_for_a_fleet(tmp_path: Path) -> None:
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "hub.example")
    pem, types = tmp_path / "hub.pem", tmp_path / "types.yaml"
    pem.write_text(key.read_text() + cert.read_text())
    types.write_text("")
    settings = parse(
        *("--listen", ":443", "--web", ":8443", "--machine-types", str(types)),
        *("--certificate", str(pem), "--upstream-ca", str(ca), "--state", str(tmp_path / "state")),
        *("--", "--set", "metahub_timeout=9"),
    )
    assert hub.warnings(settings) == []
    assert settings.name == socket.gethostname().lower()
    words = hub.command(settings)
    assert words[-2:] == ["--set", "metahub_timeout=9"]
    assert f"metahub_machine_types={types}" in words
    assert f"certs=*={pem}" in words
    assert "metahub_web=:8443" in words
    assert f"metahub_web_certificate={pem}" in words
    hub.prepare(settings)
    bundle = tmp_path / "state" / "upstream-ca.pem"
    assert f"ssl_verify_upstream_trusted_ca={bundle}" in words
    assert bundle.read_text().endswith(ca.read_text())
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    assert hub.CA not in hub.instructions(settings)


def test_clients_are_told_where_the_ca_is_and_where_it_goes() -> None:
    told = hub.instructions(parse("--listen", "192.0.2.1:5443", "--state", "/state"))
    assert "/state/mitmproxy-ca-cert.pem" in told
    assert "/etc/docker/certs.d/192.0.2.1:5443/ca.crt" in told
    assert "/etc/containers/certs.d/192.0.2.1:5443/ca.crt" in told


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--upstream", "registry.example"], "is not https://HOST"),
        (["--upstream", "https://registry.example/v2/"], "name the host only"),
        (["--upstream", "https://a:b@registry.example"], "is not https://HOST"),
        (["--listen", "5443"], "--listen: '5443' is not host:port"),
        (["--web", "::1:80"], "--web: "),
        (["--machine-types", "/missing"], "--machine-types: /missing: No such file"),
        (["--certificate", str(HUB)], "holds no key and its certificate"),
        (["--upstream-ca", "/missing"], "--upstream-ca: /missing: No such file"),
    ],
)
def test_wrong_use(arguments: list[str], says: str) -> None:
    command = [sys.executable, str(HUB), "--upstream", UPSTREAM, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert says in done.stderr


@contextmanager
def running(folder: Path, registry: EmbeddedRegistry) -> Iterator[str]:
    """A hub as scripts/hub starts it, for the name by which clients call it."""
    name = f"127.0.0.1:{free_port()}"
    command = [sys.executable, str(HUB), "--upstream", f"http://127.0.0.1:{registry.port}"]
    with subprocess.Popen(
        [*command, "--listen", name, "--state", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    ) as process:
        assert process.stdout
        try:
            said = ""
            for line in process.stdout:
                said += line
                if "a hub for" in line:
                    break
            assert process.poll() is None, said
            yield name
        finally:
            process.terminate()
            process.stdout.read()


@pytest.mark.real
def test_a_hub_on_a_machine_with_nothing_prepared(tmp_path: Path) -> None:
    registry = EmbeddedRegistry()
    registry.put_family("qnib/bench", "latest", [[], ["cpu:broadwell"], ["cpu:skylake"]])
    with serving(registry), running(tmp_path, registry) as name:
        image = f"https://{name}/v2/qnib/bench/manifests/latest"
        trust = httpx.create_ssl_context(verify=str(tmp_path / hub.CA))
        with httpx.Client(verify=trust, trust_env=False) as client:
            got = {
                user: client.head(image, auth=(user, user)).headers["X-Metahub-Features"]
                for user in ("qnib-type1", "qnib-type2")
            }
            assert got == {"qnib-type1": "cpu:broadwell", "qnib-type2": "cpu:skylake"}
            assert client.get(image).status_code == 401
            assert client.get(image, auth=("qnib-type1", "qnib-type2")).status_code == 401


# scripts/kubernetes/hub


def test_two_hubs_of_which_one_stays() -> None:
    assert DEPLOYMENT["replicas"] == 2
    assert DEPLOYMENT["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert one("disruption.yaml", "PodDisruptionBudget")["spec"] == {
        "minAvailable": 1,
        "selector": {"matchLabels": LABELS},
    }
    assert DEPLOYMENT["selector"]["matchLabels"] == LABELS
    spread = {each["topologyKey"]: each for each in POD["topologySpreadConstraints"]}
    assert {"kubernetes.io/hostname", "topology.kubernetes.io/zone"} == spread.keys()
    for each in spread.values():
        assert each["labelSelector"]["matchLabels"] == LABELS


def test_a_hub_has_no_rights() -> None:
    assert POD["automountServiceAccountToken"] is False
    assert POD["securityContext"]["runAsNonRoot"] is True
    user = POD["securityContext"]["runAsUser"]
    assert f"USER {user}:{user}\n" in (KUBERNETES / "Containerfile").read_text()
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER.security == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & POD.keys()
    assert not any("hostPath" in volume for volume in POD["volumes"])
    labels = one("namespace.yaml", "Namespace")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_probes_ask_the_page() -> None:
    spec = CONTAINER.spec
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    assert f"--set=metahub_web=:{ports['web']}" in CONTAINER.spec["args"]
    asked = {
        name: spec[f"{name}Probe"]["httpGet"]["path"]
        for name in ("startup", "liveness", "readiness")
    }
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    for name in asked:
        assert spec[f"{name}Probe"]["httpGet"]["port"] == "web"
        assert spec[f"{name}Probe"]["httpGet"]["scheme"] == "HTTPS"


def test_services_lead_to_ports_that_are_there() -> None:
    named = {port["name"] for port in CONTAINER.spec["ports"]}
    for service in documents(EXAMPLES / "service.yaml"):
        assert service["spec"]["selector"] == LABELS
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named


def test_every_option_exists() -> None:
    mitmdump = Path(sys.executable).with_name("mitmdump")
    listed = subprocess.run(
        [str(mitmdump), "--options"], capture_output=True, text=True, timeout=60, check=True
    )
    known = {*re.findall(r"^([a-z_]+):", listed.stdout, re.MULTILINE), *addon_options()}
    for arguments in (CONTAINER.spec["args"], hub.command(parse("--web", ":1"))):
        named = {
            found[1]
            for argument in arguments
            if (found := re.match(r"(?:--set=)?([a-z_]+)=", argument))
        }
        assert {"confdir", "block_global", "metahub_web"} <= named
        assert named <= known, named - known


def test_what_is_mounted_is_a_volume_and_what_is_read_is_mounted() -> None:
    volumes = {volume["name"]: volume for volume in POD["volumes"]}
    assert {mount["name"] for mount in CONTAINER.mounts.values()} == volumes.keys()
    generated = {each["name"] for each in KUSTOMIZATION["secretGenerator"]}
    assert volumes["types"]["secret"]["secretName"] in generated
    read = re.findall(r"/etc/[a-z-]+", f"{CONTAINER.spec['command']} {CONTAINER.spec['args']}")
    assert {*read} == {mount for mount in CONTAINER.mounts if mount != "/tmp"}
    for mount in read:
        assert CONTAINER.mounts[mount]["readOnly"] is True


def test_no_secret_is_in_the_repository() -> None:
    files = {name for each in KUSTOMIZATION["secretGenerator"] for name in each["files"]}
    assert files == {"machine-types.yaml", "web-secret"}
    assert {*(EXAMPLES / ".gitignore").read_text().split()} == files
    text = (EXAMPLES / "machine-types.example.yaml").read_text()
    assert re.findall(r"password: (\S+)", text) == ['""', '""']


def parse_example(text: str) -> Any:
    def make_hash(user: str, password: str) -> str:
        return hash_password(password, 4)

    return parse_hub_config(text, "example", Platform("linux", "amd64"), make_hash)


def test_the_example_is_a_hubs_file_once_passwords_are_in() -> None:
    text = (EXAMPLES / "machine-types.example.yaml").read_text()
    with pytest.raises(InvalidYaml, match=r"example:5: .*password"):
        parse_example(text)
    found = parse_example(text.replace('""', f'"{hash_password("x", 4)}"'))
    assert found.plain == ()
    assert Path(found.config.secret_file).name == "web-secret"
    assert str(Path(found.config.secret_file).parent) in CONTAINER.mounts


def test_the_image_is_the_nodes() -> None:
    (nodes,) = documents(KUBERNETES / "node" / "kustomization.yaml")
    assert KUSTOMIZATION["images"] == nodes["images"]
    assert CONTAINER.spec["image"] == nodes["images"][0]["name"]
    listed = {path.name for path in EXAMPLES.glob("*.yaml")}
    assert {*KUSTOMIZATION["resources"]} < listed


def test_how_the_container_starts(tmp_path: Path) -> None:
    for folder in ("tls", "trust", "tmp", "bin"):
        (tmp_path / folder).mkdir()
    for name in ("tls.key", "tls.crt"):
        (tmp_path / "tls" / name).write_text(f"{name}\n")
    (tmp_path / "trust" / "own.pem").write_text("own CA\n")
    stubs = {"mitmdump": 'printf "%s\\n" "$@"', "metahub": "echo ADDON", "python": 'echo "$0.pem"'}
    for name, script in stubs.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "bin" / "python.pem").write_text("public CAs\n")
    shell, flags, script, *rest = CONTAINER.spec["command"]
    for real, here in (("/tmp/", f"{tmp_path}/tmp/"), ("/etc/metahub-hub-", f"{tmp_path}/")):
        script = script.replace(real, here)
    done = subprocess.run(
        [shell, flags, script, *rest, "--mode=x", "--set=a=b c"],
        env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines() == ["-s", "ADDON", "--mode=x", "--set=a=b c"]
    pem = tmp_path / "tmp" / "hub.pem"
    assert pem.read_text() == "tls.key\ntls.crt\n"
    assert pem.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "tmp" / "trust.pem").read_text() == "public CAs\nown CA\n"


@pytest.mark.parametrize(("family", "address"), [("tcp", "127.0.0.1"), ("tcp6", "::1")])
def test_a_pod_that_is_to_end_waits_for_its_clients(family: str, address: str) -> None:
    shell, flags, script = CONTAINER.spec["lifecycle"]["preStop"]["exec"]["command"]
    kind = socket.AF_INET6 if family == "tcp6" else socket.AF_INET

    def slept(port: int) -> list[int]:
        counted = 'sleep() { echo "$1"; }\n' + script.replace("1543", f"{port:04X}")
        done = subprocess.run([shell, flags, counted], capture_output=True, text=True, check=True)
        return [int(seconds) for seconds in done.stdout.split()]

    with socket.socket(kind) as listener:
        listener.bind((address, 0))
        listener.listen()
        port = listener.getsockname()[1]
        assert slept(port) == [10]
        with socket.create_connection((address, port)), listener.accept()[0]:
            waited = slept(port)
    assert waited == [10] + [5] * 54
    assert sum(waited) < POD["terminationGracePeriodSeconds"] - 15
    (registry,) = (p for p in CONTAINER.spec["ports"] if p["name"] == "registry")
    assert f":{registry['containerPort']:04X} " in script


# scripts/haproxy


def test_haproxy_takes_its_configuration(tmp_path: Path) -> None:
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if haproxy is None:
        pytest.skip("missing: the command haproxy")
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "hub.example")
    pem = tmp_path / "hub.pem"
    pem.write_text(cert.read_text() + key.read_text())
    text = HAPROXY.read_text()
    for real, here in (("/etc/haproxy/hub.pem", pem), ("/etc/haproxy/hub-ca.pem", ca)):
        assert real in text
        text = text.replace(real, str(here))
    (tmp_path / "haproxy.cfg").write_text(text)
    done = subprocess.run(
        [haproxy, "-c", "-f", str(tmp_path / "haproxy.cfg")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr


def test_haproxy_asks_again_what_may_be_asked_again() -> None:
    lines = [line.strip() for line in HAPROXY.read_text().splitlines()]
    assert "http-request disable-l7-retry unless METH_GET" in lines
    assert "retry-on conn-failure empty-response response-timeout 502 503" in lines
    assert "option redispatch 1" in lines
    forgotten = lines.index("http-request del-header X-Forwarded-For")
    assert forgotten < lines.index("option forwardfor")
    for backend in ("registry", "page"):
        at = lines.index(f"backend {backend}")
        assert "http-check send meth GET uri /readyz" in lines[at : at + 10]
    assert all("verify required" in line for line in lines if line.startswith("default-server ssl"))
