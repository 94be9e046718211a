"""scripts/hub, the hub's Kubernetes manifests and HAProxy's configuration hold together."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
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
from metahub_addon.web_secret import WebSecret
from support.certificates import make_authority
from support.embedded_registry import EmbeddedRegistry, serving
from support.mitmdump import free_port

HUB = SCRIPTS / "start_hub.py"
EXAMPLES = KUBERNETES / "hub"
HAPROXY = SCRIPTS / "haproxy" / "metahub-hub.cfg"
UPSTREAM = "https://registry.example"
UNIT = SCRIPTS / "systemd" / "metahub-hub.service"
READMES = (
    SCRIPTS.parent / "README.md",
    *(SCRIPTS / f"{n}/README.md" for n in ("haproxy", "kubernetes")),
)
FILE = 'user: qnib\npassword: "in the clear"\ntypes: [{name: type1, features: [cpu:zen4]}]\n'

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
    told = hub.instructions(settings)
    assert "docker login -u qnib-type1 127.0.0.1:5443" in told
    (program,) = re.findall(r"^  (\S+metahub) login --registry", told, re.MULTILINE)
    assert os.access(program, os.X_OK)
    (warning,) = hub.warnings(settings)
    assert "whose passwords everyone knows" in warning


def test_for_a_fleet(tmp_path: Path) -> None:
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "*.hub.example", "hub.example")
    pem, types = tmp_path / "hub.pem", tmp_path / "types.yaml"
    pem.write_text(key.read_text() + cert.read_text())
    types.write_text(FILE)
    settings = parse(
        *("--listen", ":443", "--web", ":8443", "--machine-types", str(types)),
        *("--certificate", str(pem), "--upstream-ca", str(ca), "--state", str(tmp_path / "state")),
        *("--", "--set", "metahub_timeout=9"),
    )
    assert hub.warnings(settings) == []
    assert settings.name == "hub.example"
    assert types.read_text() == FILE
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
    told = hub.instructions(settings)
    assert hub.CA not in told
    assert "  metahub login --registry hub.example --user ACCOUNT\n" in told
    assert "Page: https://hub.example:8443/" in told


@pytest.mark.parametrize(
    ("machine", "listen", "name"),
    [
        # What has neither dot nor colon is a user of Docker Hub to docker.
        ("node7", ":443", "node7:443"),
        ("node7", ":5443", "node7:5443"),
        ("Node7.example", "0.0.0.0:443", "node7.example"),
        ("node7", "192.0.2.1:443", "192.0.2.1"),
        ("node7", "[2001:db8::1]:443", "[2001:db8::1]"),
        ("node7", "localhost:443", "localhost"),
    ],
)
def test_the_name(monkeypatch: pytest.MonkeyPatch, machine: str, listen: str, name: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: machine)
    settings = parse("--listen", listen)
    assert settings.name == name
    assert f"docker pull {name}/qnib/bench" in hub.instructions(settings)


@pytest.mark.parametrize(
    ("web", "page"),
    [
        (":8443", "http://127.0.0.1:8443/"),
        ("0.0.0.0:8443", "http://127.0.0.1:8443/"),
        ("[::]:8443", "http://[::1]:8443/"),
    ],
)
def test_where_the_page_takes_logins_without_tls(web: str, page: str) -> None:
    settings = parse("--web", web)
    assert f"Page: {page}" in hub.instructions(settings)
    assert f"no login to the page but at {page} and" in hub.warnings(settings)[1]
    assert " at http" not in hub.warnings(parse("--web", "192.0.2.1:8443"))[1]
    assert len(hub.warnings(parse("--web", "127.0.0.1:8443"))) == 1


@pytest.mark.parametrize("names", [(), ("*.hub.example",)])
def test_a_certificate_without_a_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    _, cert, key = make_authority(tmp_path, "192.0.2.1", *names)
    pem = tmp_path / "hub.pem"
    pem.write_text(key.read_text() + cert.read_text())
    assert parse("--listen", "192.0.2.1:443", "--certificate", str(pem)).name == "192.0.2.1"


def test_on_loopback_the_certificates_name_leads_elsewhere(tmp_path: Path) -> None:
    _, cert, key = make_authority(tmp_path, "127.0.0.1", "hub.example")
    pem = tmp_path / "hub.pem"
    pem.write_text(key.read_text() + cert.read_text())
    assert parse("--certificate", str(pem)).name == "127.0.0.1:5443"


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
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"user: qnib\npassword: secret\ntypes: [{}]\n", "types.yaml:3: "),
        (b"user: qnib\npassword: secret\n\xff", "types.yaml: is not UTF-8"),
    ],
)
def test_a_broken_file_is_told_before_a_hub_is_promised(
    tmp_path: Path, content: bytes, says: str
) -> None:
    types = tmp_path / "types.yaml"
    types.write_bytes(content)
    with pytest.raises(hub.Problem) as caught:
        parse("--machine-types", str(types))
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)


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


# scripts/systemd/metahub-hub.service


def directives(path: Path) -> dict[str, list[str]]:
    """A unit's directives, whichever section they are in, with all their values."""
    text = re.sub(r"\\\n\s*", "", path.read_text())
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("missing: the command systemd-analyze")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/metahub-addon", str(SCRIPTS.parent)))
    done = subprocess.run([analyze, "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_unit_starts_what_there_is(tmp_path: Path) -> None:
    unit = directives(UNIT)
    program, *arguments = shlex.split(unit["ExecStart"][0])
    assert program == "/opt/metahub-addon/scripts/hub"
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    _, cert, key = make_authority(tmp_path, "127.0.0.1", "hub.example")
    (tmp_path / "hub.pem").write_text(key.read_text() + cert.read_text())
    (tmp_path / "machine-types.yaml").write_text(FILE)
    for option in ("--machine-types", "--certificate"):
        assert Path(given[option]).parent == Path(unit["ReadWritePaths"][0])
        given[option] = str(tmp_path / Path(given[option]).name)
    settings = hub.parse([word for pair in given.items() for word in pair])
    assert hub.warnings(settings) == []
    assert settings.state == Path("/var/lib", unit["StateDirectory"][0])
    commands = "\n".join(line for line in UNIT.read_text().splitlines() if line.startswith("#"))
    assert (
        f"useradd --system --no-create-home --shell /usr/sbin/nologin {unit['User'][0]}\n"
        in commands
    )


def test_the_unit_gives_no_more_rights_than_a_nodes() -> None:
    unit, node = directives(UNIT), directives(SCRIPTS / "systemd" / "metahub.service")
    port = ["CAP_NET_BIND_SERVICE"]
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == port
    # fchown(2): a file that is replaced keeps its owner.
    assert unit["SystemCallFilter"] == [*node["SystemCallFilter"], "@chown"]
    own = {"CapabilityBoundingSet", "AmbientCapabilities", "SystemCallFilter"}
    hardening = re.compile(r"(Protect|Private|Restrict|SystemCall|Lock|Remove|NoNew|Proc|UMask)")
    for name, values in node.items():
        if hardening.match(name) and name not in own:
            assert unit[name] == values, name


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


@pytest.mark.parametrize("readme", READMES, ids=lambda path: path.parent.name)
def test_secrets_are_made_for_who_may_read_them(readme: Path, tmp_path: Path) -> None:
    making = [line for line in readme.read_text().splitlines() if "/dev/urandom" in line]
    assert making
    for line in making:
        command = line.strip().removeprefix("sudo ").replace("/etc/metahub", "etc/metahub")
        shell = ["sh", "-c", f"umask 022; {command}"]
        subprocess.run(shell, cwd=tmp_path, check=True)
        (secret,) = (path for path in tmp_path.rglob("*") if path.is_file())
        assert secret.stat().st_mode & 0o777 == 0o600
        assert WebSecret().of(str(secret))


# scripts/haproxy


@pytest.fixture
def configured(tmp_path: Path) -> list[str]:
    """HAProxy's command with the example, on a port and with files of its own."""
    haproxy = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if haproxy is None:
        pytest.skip("missing: the command haproxy")
    ca, cert, key = make_authority(tmp_path, "127.0.0.1", "hub.example")
    pem = tmp_path / "hub.pem"
    pem.write_text(cert.read_text() + key.read_text())
    text = HAPROXY.read_text()
    ours = {
        "/etc/haproxy/hub.pem": str(pem),
        "/etc/haproxy/hub-ca.pem": str(ca),
        "/run/haproxy.sock": str(tmp_path / "haproxy.sock"),
        "bind :443": f"bind 127.0.0.1:{free_port()}",
        "192.0.2.": "127.0.0.",
    }
    for theirs, here in ours.items():
        assert theirs in text
        text = text.replace(theirs, here)
    (tmp_path / "haproxy.cfg").write_text(text)
    return [haproxy, "-f", str(tmp_path / "haproxy.cfg")]


def test_haproxy_takes_its_configuration(configured: list[str]) -> None:
    done = subprocess.run([*configured, "-c"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[WARNING]" not in done.stderr


def ask(path: Path, commands: str) -> str:
    """What HAProxy's stats socket answers (the manual's 'Unix Socket commands')."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(commands.encode() + b"\n")
        return client.makefile().read().strip()


@pytest.mark.real
def test_a_hub_is_taken_out_and_back(configured: list[str], tmp_path: Path) -> None:
    readme = (HAPROXY.parent / "README.md").read_text()
    line = re.compile(r'^echo "(.+)" \| sudo socat stdio /run/haproxy.sock', re.MULTILINE)
    out, wait, back = line.findall(readme)
    path = tmp_path / "haproxy.sock"

    def states() -> set[tuple[str, str, str]]:
        """Backend, server and srv_admin_state: 1 is maintenance, 8 draining."""
        rows = [
            row.split()
            for backend in ("registry", "page")
            for row in ask(path, f"show servers state {backend}").splitlines()[2:]
        ]
        return {(row[1], row[3], row[6]) for row in rows}

    other = {("registry", "hub2", "0"), ("page", "hub2", "0")}
    with subprocess.Popen([*configured, "-db"], stderr=subprocess.DEVNULL) as process:
        try:
            while not path.exists():
                assert process.poll() is None
                time.sleep(0.02)
            assert path.stat().st_mode & 0o777 == 0o600
            assert ask(path, out) == ""
            assert states() == {("registry", "hub1", "8"), ("page", "hub1", "1"), *other}
            fields = [line.split(",") for line in ask(path, wait).splitlines()]
            assert [(row[1], row[4]) for row in fields[1:]] == [("hub1", "0"), ("hub2", "0")]
            assert fields[0][1] == "svname"
            assert fields[0][4] == "scur"
            assert ask(path, back) == ""
            assert states() == {("registry", "hub1", "0"), ("page", "hub1", "0"), *other}
        finally:
            process.terminate()


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
