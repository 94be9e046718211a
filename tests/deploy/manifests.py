"""The Kubernetes manifests as data, and what they say of each container."""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
KUBERNETES = SCRIPTS / "kubernetes"
NODE = KUBERNETES / "node.py"


def load(path: Path) -> ModuleType:
    """A module that is in no package on the path, by its file."""
    spec = importlib.util.spec_from_file_location(f"deployed_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MIRROR_PORT = load(SCRIPTS / "installer" / "layout.py").MIRROR_PORT


def documents(path: Path) -> list[dict[str, Any]]:
    """All documents of a YAML file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


@dataclass(frozen=True, slots=True)
class Container:
    """A container of a DaemonSet, with the pod that it is part of."""

    spec: dict[str, Any]
    pod: dict[str, Any]

    @property
    def security(self) -> dict[str, Any]:
        found: dict[str, Any] = self.spec["securityContext"]
        return found

    @property
    def arguments(self) -> list[str]:
        """What node.py is run with, or `command` where the image's entry point is not."""
        found: list[str] = self.spec.get("args") or self.spec["command"]
        return found

    @property
    def mounts(self) -> dict[str, dict[str, Any]]:
        """Mounts by their path."""
        return {mount["mountPath"]: mount for mount in self.spec["volumeMounts"]}

    def privileges(self, *more: str) -> list[str]:
        """setpriv's command that runs something as Kubernetes runs the container.

        `more`: capabilities that only the test needs.
        """
        added = [*self.security["capabilities"].get("add", ()), *more]
        names = ",".join(["-all", *(f"+{name.lower()}" for name in added)])
        user = self.security["runAsUser"]
        command = ["setpriv", f"--reuid={user}", f"--regid={self.security['runAsGroup']}"]
        command += ["--clear-groups", "--no-new-privs", f"--bounding-set={names}"]
        if user:  # root gets what the bounding set allows, others by the ambient set alone
            command += [f"--inh-caps={names}", f"--ambient-caps={names}"]
        return command


def daemonset(name: str) -> dict[str, Any]:
    """A folder's DaemonSet."""
    (found,) = documents(KUBERNETES / name / "daemonset.yaml")
    return found


def containers(name: str) -> Iterator[Container]:
    """All containers of a folder's DaemonSet, those that prepare it first."""
    pod = daemonset(name)["spec"]["template"]["spec"]
    for spec in (*pod["initContainers"], *pod["containers"]):
        yield Container(spec, pod)
