"""Pull one image name as several kinds of host, and show what each of them got.

Starts an embedded registry with MetaHub's `qnib/bench` family, a real mitmdump with the
addon for each kind of host, and pulls with the real client on this machine (podman or
skopeo need nothing but a folder), else over plain HTTP.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.embedded_registry import OCI_INDEX, EmbeddedRegistry, serving  # noqa: E402
from support.mitmdump import Mitmdump, mitmdump  # noqa: E402

NAME = "qnib/bench"
FAMILY: tuple[list[str], ...] = (
    [],
    ["cpu:broadwell"],
    ["cpu:skylake"],
    ["cpu:broadwell", "nvcap:5.2"],
)
TAGS = {"list": "manifest list", "oci": "OCI index"}
HOSTS = ("type1", "type2", "type4", "generic")


@dataclass(frozen=True)
class Pulled:
    """What a host got: the digest of the manifest, the text in its layer, and why."""

    digest: str
    text: str
    why: str


def pull_with_skopeo(proxy: Mitmdump, tag: str, folder: Path) -> tuple[str, str]:
    """Pull with skopeo, named as a runtime: by default tools are shown the whole index."""
    image = f"docker://127.0.0.1:{proxy.ports[0]}/{NAME}:{tag}"
    target = folder / "image"
    command = ["skopeo", "--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]
    environment = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
    subprocess.run([*command, image, f"dir:{target}"], env=environment, check=True)
    manifest = (target / "manifest.json").read_bytes()
    layer = json.loads(manifest)["layers"][0]["digest"].partition(":")[2]
    return sha256(manifest), (target / layer).read_text()


def pull_over_http(proxy: Mitmdump, tag: str, folder: Path) -> tuple[str, str]:
    """Pull as a runtime does: HEAD the tag, GET that digest, GET the layer."""
    del folder  # nothing is kept
    base = f"http://127.0.0.1:{proxy.ports[0]}/v2/{NAME}"
    with httpx.Client(trust_env=False) as client:
        digest = client.head(f"{base}/manifests/{tag}").headers["Docker-Content-Digest"]
        manifest = client.get(f"{base}/manifests/{digest}").content
        layer = json.loads(manifest)["layers"][0]["digest"]
        return sha256(manifest), client.get(f"{base}/blobs/{layer}").text


def sha256(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


@contextmanager
def host(registry: EmbeddedRegistry, machine: str, untouched: list[str]) -> Iterator[Mitmdump]:
    """A host of a machine type: a mitmdump with its profile in front of the registry."""
    with (
        tempfile.TemporaryDirectory(prefix="metahub-demo-") as folder,
        mitmdump(
            Path(folder),
            [f"reverse:http://127.0.0.1:{registry.port}"],
            ROOT / "profiles" / f"{machine}.yaml",
            untouched,
        ) as proxy,
    ):
        yield proxy


def explain(registry: EmbeddedRegistry, tag: str, machine: str) -> str:
    """The reason, as `metahub explain` gives it."""
    index = registry.manifests[(NAME, tag)][1]
    profile = ROOT / "profiles" / f"{machine}.yaml"
    command = [str(Path(sys.executable).parent / "metahub"), "explain", "-", "--json"]
    done = subprocess.run(
        [*command, "--profile", str(profile)], input=index, capture_output=True, check=True
    )
    reason: str = json.loads(done.stdout)["reason"]
    return reason


def main() -> int:
    """Run the demonstration; 1 if a host did not get its image."""
    console = Console()
    # As root skopeo keeps a cache in a place that can't be chosen.
    skopeo = shutil.which("skopeo") is not None and os.geteuid() != 0
    pull = pull_with_skopeo if skopeo else pull_over_http
    # skopeo copies images, so it would be shown the index: here it stands for a runtime.
    untouched = ["metahub_untouched_clients=none/"] if skopeo else []
    registry = EmbeddedRegistry()
    for tag, kind in (("list", None), ("oci", OCI_INDEX)):
        registry.put_family(NAME, tag, FAMILY, *([kind] if kind else []))
    table = Table(title=f"What each host got for {NAME}, by {'skopeo' if skopeo else 'HTTP'}")
    for column in ("host", "index", "image", "digest", "why"):
        table.add_column(column, overflow="fold")
    wrong = 0
    with ExitStack() as stack:
        stack.enter_context(serving(registry))
        for machine in HOSTS:
            with host(registry, machine, untouched) as proxy:
                for tag, kind in TAGS.items():
                    console.print(f"[dim]{machine} pulls {NAME}:{tag} …[/dim]")
                    with tempfile.TemporaryDirectory(prefix="metahub-demo-") as folder:
                        digest, text = pull(proxy, tag, Path(folder))
                    wrong += text != EXPECTED[machine]
                    why = explain(registry, tag, machine)
                    table.add_row(machine, kind, text, digest[7:19], why)
    console.print(table)
    if wrong:
        console.print(f"[red]{wrong} of the pulls got another image than the one for its host[/]")
    return 1 if wrong else 0


EXPECTED = {
    "type1": "cpu:broadwell",
    "type2": "cpu:skylake",
    "type4": "cpu:broadwell,nvcap:5.2",
    "generic": "generic",
}

if __name__ == "__main__":
    sys.exit(main())
