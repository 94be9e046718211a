"""What the runtimes' certs.d folders say of registries, one folder each."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from installer.documents import read_toml
from installer.layout import CA_CERTIFICATE, CONTAINERD_CERTS, CONTAINERS_CERTS, DOCKER_CERTS
from installer.node import Node
from installer.trust_bundle import authorities

Kind = Literal["secure", "insecure", "personal"]


@dataclass(frozen=True, slots=True)
class Folder:
    """A registry's folder. `vouches`: it has authorities that are trusted for it alone."""

    host: str
    kind: Kind
    vouches: bool


def find_folders(node: Node, ours: Collection[str]) -> Iterator[Folder]:
    """The folders in which something lies that is not ours."""
    for base in (DOCKER_CERTS, CONTAINERS_CERTS, CONTAINERD_CERTS):
        folder = node.path(base)
        if not folder.is_dir():
            continue
        for inner in sorted(folder.iterdir()):
            files = [file.name for file in inner.iterdir()] if inner.is_dir() else []
            files = [name for name in files if f"{base}/{inner.name}/{name}" not in ours]
            if files:
                place = base / inner.name
                kind, vouches = _kind(node, place, files), _vouches(node, place, files)
                yield Folder(_from_folder(inner.name), kind, vouches)


def _from_folder(name: str) -> str:
    """containerd writes host_port_ where a file system takes no colon."""
    if name.endswith("_") and name.count("_") >= 2:
        return ":".join(name[:-1].rsplit("_", 1))
    return name


def _kind(node: Node, folder: PurePosixPath, files: Collection[str]) -> Kind:
    document = read_toml(node, folder / "hosts.toml")
    hosts = document.get("host")
    inner = hosts.values() if isinstance(hosts, dict) else ()
    tables = [table for table in (document, *inner) if isinstance(table, dict)]
    # docker and podman know a client's certificate by these names.
    if any(name.endswith((".cert", ".key")) for name in files):
        return "personal"
    if any(table.get("client") for table in tables):
        return "personal"
    return "insecure" if any(table.get("skip_verify") is True for table in tables) else "secure"


def _vouches(node: Node, folder: PurePosixPath, files: Collection[str]) -> bool:
    named = authorities(node.read(folder / "hosts.toml"))
    elsewhere = any(name != str(CA_CERTIFICATE) for name in named)
    return elsewhere or any(name.endswith(".crt") for name in files)
