"""A node in namespaces of its own: registry, transparent proxy, and real runtimes.

Run as `unshare --mount --net --pid --fork --kill-child --mount-proc python node.py FOLDER`.
Plays all scenarios and writes what each client got to FOLDER/results.json; the tests
judge it. With the namespaces ends everything that was started in them.
"""

import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from clients.programs import VARIANTS, compile_programs, masked
from support.certificates import make_authority
from support.embedded_registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    index_of,
    sha256,
)
from support.mitmdump import command_line

ADDRESS, HOST, PROXY_GROUP, PROXY_PORT = "192.0.2.2", "reg.test", 60001, 8082
NAME = "qnib/bench"
IMAGE = f"{HOST}/{NAME}"
FAMILY: dict[str, list[str]] = {
    "generic": [],
    "broadwell": ["cpu:broadwell"],
    "skylake": ["cpu:skylake"],
    "broadwell-nvcap": ["cpu:broadwell", "nvcap:5.2"],
}
TYPES = {
    "type1": "[cpu:broadwell]",
    "type2": "[cpu:skylake]",
    "type4": "[cpu:broadwell, nvcap:5.2]",
}
TAGS = ("list", "oci", "nested", "attested", "multi")


class Node:
    """The running parts, and the results by scenario."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profile = folder / "profile.yaml"
        self.results: dict[str, Any] = {}
        self.environment = dict(os.environ)
        self.daemons: list[subprocess.Popen[bytes]] = []

    def run(self, *command: str, check: bool = True) -> str:
        """Run a client; its output. Fails with it, unless told not to."""
        done = subprocess.run(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=90,
            check=False,
        )
        if check and done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def start(self, name: str, command: Sequence[str], **environment: str) -> None:
        """Start a daemon that logs to FOLDER/NAME.log."""
        with (self.folder / f"{name}.log").open("w") as log:
            self.daemons.append(
                subprocess.Popen(
                    command,
                    env={**self.environment, **environment},
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            )

    def become(self, machine: str, *more: str) -> None:
        """Change the profile, in one step."""
        lines = [f"machine_type: {machine}", "platform: linux/amd64"]
        lines += [f"features: {TYPES.get(machine, '[cpu:broadwell]')}", *more]
        new = self.profile.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n")
        new.replace(self.profile)

    def asked(self) -> list[str]:
        """`METHOD path` of each request that the registry has answered, in order."""
        log = (self.folder / "registry.log").read_text(errors="replace")
        requests = [line.split('"')[1] for line in log.splitlines() if '] "' in line]
        return [" ".join(request.split()[:2]) for request in requests]

    def asked_manifests(self, since: int) -> dict[str, int]:
        """How often each method asked for a manifest since a count of requests."""
        time.sleep(0.3)  # the registry logs behind the answer
        lines = [line for line in self.asked()[since:] if "/manifests/" in line]
        return {
            method: sum(line.startswith(method) for line in lines) for method in ("HEAD", "GET")
        }


def wait_for(what: str, ready: Any, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise RuntimeError(f"{what} did not come up")
        time.sleep(0.1)


@contextmanager
def past_the_proxy() -> Iterator[httpx.Client]:
    """A client whose sockets carry the proxy's group: the redirect lets them through."""
    os.setegid(PROXY_GROUP)
    try:
        with httpx.Client(base_url=f"https://{HOST}", verify=False, trust_env=False) as client:
            yield client
    finally:
        os.setegid(0)


def prepare_network(folder: Path) -> None:
    """Loopback with the registry's address (not in 127/8: docker skips TLS there)."""
    for command in (
        ["mount", "-t", "tmpfs", "tmpfs", "/run"],
        ["ip", "link", "set", "lo", "up"],
        ["ip", "address", "add", f"{ADDRESS}/32", "dev", "lo"],
    ):
        subprocess.run(command, check=True)
    hosts = folder / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} {HOST}\n")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


def start_registry(node: Node) -> Path:
    ca, cert, key = make_authority(node.folder, ADDRESS, HOST)
    config = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(node.folder / "registry")},
            "delete": {"enabled": True},
        },
        "http": {
            "addr": f"{ADDRESS}:443",
            "tls": {"certificate": str(cert), "key": str(key)},
        },
    }
    file = node.folder / "registry.yml"
    file.write_text(json.dumps(config))
    node.start("registry", ["docker-registry", "serve", str(file)])

    def up() -> bool:
        try:
            with past_the_proxy() as client:
                return client.get("/v2/").status_code == 200
        except httpx.HTTPError:
            return False

    wait_for("docker-registry", up)
    return ca


def layer(files: dict[str, bytes]) -> bytes:
    """A tar of files, all of them executable."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, body in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(body), 0o755
            tar.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def push_variant(
    client: httpx.Client, text: str, oci: bool, architecture: str = "amd64"
) -> dict[str, Any]:
    """An image with a static busybox that prints its variant."""
    tar = layer({"bin/busybox": Path("/bin/busybox").read_bytes(), "variant": text.encode()})
    return push_image(client, tar, ["/bin/busybox", "cat", "/variant"], oci, architecture)


def push_blob(client: httpx.Client, body: bytes, media_type: str) -> dict[str, Any]:
    session = client.post(f"/v2/{NAME}/blobs/uploads/").raise_for_status().headers["Location"]
    url = httpx.URL(session).copy_merge_params({"digest": sha256(body)})
    client.put(url, content=body).raise_for_status()
    return {"mediaType": media_type, "digest": sha256(body), "size": len(body)}


def push_manifest(client: httpx.Client, document: dict[str, Any], tag: str = "") -> dict[str, Any]:
    body = json.dumps(document).encode()
    headers = {"Content-Type": document["mediaType"]}
    path = f"/v2/{NAME}/manifests/{tag or sha256(body)}"
    client.put(path, content=body, headers=headers).raise_for_status()
    return {"mediaType": document["mediaType"], "digest": sha256(body), "size": len(body)}


def push_image(
    client: httpx.Client, tar: bytes, command: list[str], oci: bool, architecture: str = "amd64"
) -> dict[str, Any]:
    config = {
        "os": "linux",
        "architecture": architecture,
        "config": {"Cmd": command},
        "rootfs": {"type": "layers", "diff_ids": [sha256(tar)]},
    }
    kind = "application/vnd.oci.image." if oci else "application/vnd.docker."
    config_type = f"{kind}config.v1+json" if oci else f"{kind}container.image.v1+json"
    layer_type = f"{kind}layer.v1.tar" if oci else f"{kind}image.rootfs.diff.tar"
    return push_manifest(
        client,
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST if oci else DOCKER_MANIFEST,
            "config": push_blob(client, json.dumps(config).encode(), config_type),
            "layers": [push_blob(client, tar, layer_type)],
        },
    )


def publish(node: Node) -> None:
    """The family in every form that an index can take; `results['digests']` names it."""
    with past_the_proxy() as client:
        families: dict[bool, list[dict[str, Any]]] = {}
        for oci in (False, True):
            families[oci] = []
            for variant, features in FAMILY.items():
                platform: dict[str, Any] = {"os": "linux", "architecture": "amd64"}
                if features:
                    platform["features"] = features
                descriptor = push_variant(client, variant, oci)
                families[oci].append({**descriptor, "platform": platform})
        arm = {
            **push_variant(client, "arm64", True, "arm64"),
            "platform": {"os": "linux", "architecture": "arm64"},
        }
        proof = {
            **push_variant(client, "proof", True),
            "platform": {"os": "unknown", "architecture": "unknown"},
            "annotations": {"vnd.docker.reference.type": "attestation-manifest"},
        }
        docker, oci_children = families[False], families[True]
        index = push_manifest(client, index_of(docker), "list")
        inner = push_manifest(client, index_of(oci_children, OCI_INDEX), "oci")
        push_manifest(client, index_of([inner], OCI_INDEX), "nested")
        push_manifest(client, index_of([proof, *oci_children], OCI_INDEX), "attested")
        push_manifest(client, index_of([arm, *oci_children], OCI_INDEX), "multi")
        zen = {**docker[0], "platform": {**docker[0]["platform"], "features": ["cpu:zen3"]}}
        push_manifest(client, index_of([zen]), "zen")
    names = list(FAMILY)
    node.results["digests"] = {
        "list": {name: child["digest"] for name, child in zip(names, docker, strict=True)},
        "oci": {name: child["digest"] for name, child in zip(names, oci_children, strict=True)},
        "index": index["digest"],
    }


def start_proxy(node: Node, ca: Path) -> None:
    node.become("type1")
    confdir = node.folder / "mitmproxy"
    confdir.mkdir()
    command = ["setpriv", "--regid", str(PROXY_GROUP), "--clear-groups", *command_line(confdir)]
    command += ["--mode", f"transparent@{PROXY_PORT}"]
    command += ["--set", f"metahub_profile={node.profile}"]
    command += ["--set", f"ssl_verify_upstream_trusted_ca={ca}"]
    node.start("mitmdump", command)
    log = node.folder / "mitmdump.log"
    wait_for("mitmdump", lambda: "listening at" in log.read_text())
    rule = "-t nat -A OUTPUT -p tcp --dport 443 -m owner ! --gid-owner"
    redirect = [*rule.split(), str(PROXY_GROUP), "-j", "REDIRECT", "--to-ports", str(PROXY_PORT)]
    subprocess.run(["iptables", *redirect], check=True)
    # All of them are Go programs: this makes them trust the proxy's CA and nothing else.
    node.environment["SSL_CERT_FILE"] = str(confdir / "mitmproxy-ca-cert.pem")
    node.environment["SSL_CERT_DIR"] = "/nonexistent"


def docker_socket(node: Node) -> str:
    return f"unix://{node.folder}/docker/docker.sock"


def play_programs(node: Node) -> None:
    """Compiled programs on the host as it is, and as hypervisors that hide flags show it."""
    if platform.machine() != "x86_64":
        return
    folder = node.folder / "programs"
    folder.mkdir()
    programs = compile_programs(folder)
    digests: dict[str, str] = {}
    children = []
    with past_the_proxy() as client:
        for variant, (_, features) in VARIANTS.items():
            image = push_image(client, layer({"program": programs[variant]}), ["/program"], False)
            system = {"os": "linux", "architecture": "amd64", "features": features}
            children.append({**image, "platform": system})
            digests[image["digest"]] = variant
        push_manifest(client, index_of(children), "programs")
    index = folder / "index.json"
    index.write_text(json.dumps(index_of(children)))
    metahub = [sys.executable, "-c", "from metahub_addon.cli import main; main()"]

    def docker(*arguments: str) -> str:
        return node.run("docker", "-H", docker_socket(node), *arguments)

    def explain(*options: str) -> str:
        return node.run(*metahub, "explain", str(index), "--profile", str(node.profile), *options)

    cpuinfo = Path("/proc/cpuinfo").read_text()
    hosts: dict[str, Any] = {}
    for name, hidden in {
        "without SSE4": ("avx", "sse4", "fma", "f16c", "vaes", "vpclmul", "gfni", "bmi"),
        "without AVX2": ("avx2", "avx512", "avx_", "amx"),
        "without AVX-512": ("avx512", "amx"),
        "as it is": (),
    }.items():
        shown = folder / "cpuinfo"
        shown.write_text(masked(cpuinfo, hidden) if hidden else cpuinfo)
        node.run("mount", "--bind", str(shown), "/proc/cpuinfo")
        new = node.profile.with_suffix(".new")
        node.run(*metahub, "detect", "--no-metadata", "-o", str(new))
        new.replace(node.profile)
        decision = json.loads(explain("--json"))
        docker("pull", f"{IMAGE}:programs")
        hosts[name] = {
            "profile": node.profile.read_text(),
            "check": node.run(*metahub, "check", str(node.profile)),
            "flags": shown.read_text().partition("flags")[2].partition("\n")[0].split()[1:],
            "chosen": digests[decision["chosen"]],
            "explained": json.dumps(decision),
            "prints": docker("run", "--rm", "--network", "none", f"{IMAGE}:programs"),
        }
        node.run("umount", "/proc/cpuinfo")
    fitting = [child["digest"] for child in decision["children"] if child["fits"]]
    node.results["programs"] = {
        "hosts": hosts,
        "fitting": {
            digests[digest]: docker("run", "--rm", "--network", "none", f"{IMAGE}@{digest}")
            for digest in fitting
            if docker("pull", "--quiet", f"{IMAGE}@{digest}")
        },
    }


def play_docker(node: Node) -> None:
    folder = node.folder / "docker"
    folder.mkdir()
    socket = docker_socket(node)
    node.start(
        "dockerd",
        [
            *("dockerd", "-H", socket, "--data-root", f"{folder}/data"),
            *("--exec-root", f"{folder}/exec", "-p", f"{folder}/docker.pid"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none"),
        ],
    )

    def docker(*arguments: str, check: bool = True) -> str:
        return node.run("docker", "-H", socket, *arguments, check=check)

    wait_for("dockerd", lambda: "Server Version" in docker("info", check=False), 60)
    node.results["dockerd"] = docker("version", "--format", "{{.Server.Version}}").strip()

    counted = {}
    for pull in ("first", "second"):
        before = len(node.asked())
        docker("pull", f"{IMAGE}:list")
        counted[pull] = node.asked_manifests(before)
    node.results["docker requests"] = counted

    got: dict[str, Any] = {}
    for machine in TYPES:
        node.become(machine)
        for tag in TAGS:
            pulled = docker("pull", f"{IMAGE}:{tag}")
            digests = docker("inspect", "--format", "{{json .RepoDigests}}", f"{IMAGE}:{tag}")
            got[f"{machine} {tag}"] = {
                "prints": docker("run", "--rm", "--network", "none", f"{IMAGE}:{tag}"),
                "newer": "Downloaded newer image" in pulled,
                "digests": [name.partition("@")[2] for name in json.loads(digests)],
            }
    node.results["docker"] = got
    with past_the_proxy() as client:
        node.results["exist upstream"] = {
            digest: client.head(
                f"/v2/{NAME}/manifests/{digest}",
                headers={"Accept": f"{DOCKER_MANIFEST}, {OCI_MANIFEST}"},
            ).status_code
            for entry in got.values()
            for digest in entry["digests"]
        }
    index = node.results["digests"]["index"]
    docker("pull", f"{IMAGE}@{index}")
    node.results["docker pinned"] = docker("run", "--rm", "--network", "none", f"{IMAGE}@{index}")
    docker("tag", f"{IMAGE}:list", f"{HOST}/pushed/image:1")
    node.results["docker push"] = docker("push", f"{HOST}/pushed/image:1")
    node.become("strict", "otherwise: error")
    node.results["docker nothing fits"] = docker("pull", f"{IMAGE}:zen", check=False)


def play_containerd(node: Node) -> None:
    folder = node.folder / "containerd"
    folder.mkdir()
    config = folder / "config.toml"
    config.write_text(
        f'version = 2\nroot = "{folder}/root"\nstate = "/run/containerd-state"\n'
        'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
        '[grpc]\naddress = "/run/c.sock"\n'
    )
    node.start("containerd", ["containerd", "--config", str(config)])

    def ctr(*arguments: str, check: bool = True) -> str:
        return node.run("ctr", "-a", "/run/c.sock", *arguments, check=check)

    wait_for(
        "containerd",
        lambda: (
            "REVISION" in ctr("plugins", "ls", check=False)
            or "TYPE" in ctr("plugins", "ls", check=False)
        ),
    )
    got: dict[str, Any] = {}
    for machine in TYPES:
        node.become(machine)
        for tag in TAGS:
            image = f"{IMAGE}:{tag}"
            ctr("images", "pull", image)
            listed = ctr("images", "ls", f"name=={image}").splitlines()[1]
            got[f"{machine} {tag}"] = {
                "digests": [word for word in listed.split() if word.startswith("sha256:")],
                "prints": ctr("run", "--rm", image, f"run-{machine}-{tag}"),
            }
            ctr("images", "rm", image)
    node.results["containerd"] = got
    pinned = f"{IMAGE}@{node.results['digests']['index']}"
    node.results["containerd pinned"] = ctr("images", "pull", pinned)


def play_podman(node: Node) -> None:
    folder = node.folder / "podman"
    policy = Path("/run/policy.json")
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    options = [
        "--root",
        f"{folder}/root",
        "--runroot",
        "/run/podman",
        "--storage-driver",
        "overlay",
    ]
    options += ["--cgroup-manager", "cgroupfs", "--events-backend", "none"]

    def podman(*arguments: str) -> str:
        return node.run("podman", *options, *arguments)

    limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096"]
    got: dict[str, Any] = {}
    for machine in TYPES:
        node.become(machine)
        for tag in TAGS:
            image = f"{IMAGE}:{tag}"
            podman("pull", "--quiet", "--signature-policy", str(policy), image)
            got[f"{machine} {tag}"] = {
                "digests": [podman("inspect", "--format", "{{.Digest}}", image).strip()],
                "prints": podman("run", "--rm", "--network", "none", *limits, image),
            }
    node.results["podman"] = got
    pinned = f"{IMAGE}@{node.results['digests']['index']}"
    podman("pull", "--quiet", "--signature-policy", str(policy), pinned)
    node.results["podman pinned"] = podman("run", "--rm", "--network", "none", *limits, pinned)


def play_skopeo(node: Node) -> None:
    node.become("type1")
    skopeo = ["skopeo", "--insecure-policy"]
    source = f"docker://{IMAGE}:list"
    copied = node.folder / "copied"
    node.run(*skopeo, "copy", "--all", "--quiet", source, f"dir:{copied}")
    with past_the_proxy() as client:
        upstream = client.get(f"/v2/{NAME}/manifests/list", headers={"Accept": DOCKER_LIST}).content
    node.results["skopeo"] = {
        "copied whole": (copied / "manifest.json").read_bytes() == upstream,
        "children": len(list(copied.glob("*.manifest.json"))),
        "inspected whole": node.run(*skopeo, "inspect", "--raw", source).encode() == upstream,
    }
    node.run(*skopeo, "copy", "--all", "--quiet", f"dir:{copied}", f"docker://{IMAGE}:back")
    with past_the_proxy() as client:
        back = client.get(f"/v2/{NAME}/manifests/back", headers={"Accept": DOCKER_LIST})
    node.results["skopeo"]["pushed whole"] = back.content == upstream


def main(folder: Path) -> None:
    """Play everything; a part that fails is a result, too."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], check=True)
    node = Node(folder / "work")
    node.folder.mkdir()
    output = sys.stdout
    try:
        prepare_network(node.folder)
        ca = start_registry(node)
        publish(node)
        start_proxy(node, ca)
        for play in (play_docker, play_programs, play_containerd, play_podman, play_skopeo):
            name = play.__name__.removeprefix("play_")
            began = time.monotonic()
            try:
                play(node)
            except (RuntimeError, subprocess.SubprocessError, OSError) as error:
                logs = (node.folder / f"{name}.log", node.folder / "dockerd.log")
                tails = [log.read_text()[-3000:] for log in logs if log.exists()]
                node.results[f"{name} failed"] = "\n".join([str(error), *tails])
            node.results[f"{name} seconds"] = round(time.monotonic() - began, 1)
        registry_log = (node.folder / "registry.log").read_text(errors="replace")
        node.results["user agents"] = sorted(
            {line.split('"')[5] for line in registry_log.splitlines() if line.count('"') >= 6}
        )
        node.results["warnings"] = [
            line
            for line in (node.folder / "mitmdump.log").read_text().splitlines()
            if "left as upstream" in line or "Traceback" in line
        ]
    finally:
        json.dump(node.results, output)
        output.flush()
        for daemon in node.daemons:
            daemon.terminate()
        shutil.rmtree(node.folder / "copied", ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
