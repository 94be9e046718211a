"""Imports point inwards only, and no module takes a name from the standard library."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "metahub_addon"
MODULES = sorted(path.stem for path in SOURCE.glob("*.py") if path.stem != "__init__")
# From the inside out: a module imports from earlier layers, never from its own or a later.
LAYERS = (
    {"match", "digest", "media_types", "oci_platform", "clients", "strict_yaml", "probe"}
    | {"microarchitectures", "nfd", "printable", "registries"}
    | {"firewall", "service_manager", "own_addresses", "idle_addons", "self_check"}
    | {"reachability", "socket_table"},
    {"cpu", "cpuinfo", "versions", "gfx", "registry", "this_host", "amdgpu", "fabric", "cloud"}
    | {"interception", "manifest", "own_connections"},
    {"cuda", "node_features", "bypass"},
    {"features", "nvidia"},
    {"index", "machine"},
    {"requirements", "profile_parser", "nesting", "answer", "upstream", "detect"},
    {"selection", "own_detection", "profile_writer", "flow_repository", "relay"},
    {"compatibility", "decisions"},
    {"rewrite", "profile_file", "http_fetcher", "report"},
    {"remote", "interception_addon", "node_addon"},
    {"layers_addon"},
    {"addon", "cli"},
)
# What only the outermost modules may touch.
OUTER = {
    "mitmproxy": {"addon", "flow_repository", "interception_addon", "layers_addon", "node_addon"}
    | {"idle_addons", "self_check"},
    "httpx": {"http_fetcher", "remote", "this_host"},
    "http": {"relay"},
    "pynvml": {"this_host"},
    "certifi": {"http_fetcher"},
    "click": {"cli"},
    "rich": {"cli", "report"},
    "os": {"node_addon", "profile_file", "profile_writer", "this_host"},
    "pathlib": {"addon", "cli", "http_fetcher", "profile_file", "profile_writer", "this_host"}
    | {"own_connections"},
    "socket": {"firewall", "own_addresses", "reachability", "relay", "service_manager"}
    | {"socket_table"},
    "socketserver": {"relay"},
    "subprocess": {"this_host"},
}


@cache
def imports(module: str) -> set[str]:
    tree = ast.parse((SOURCE / f"{module}.py").read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            assert node.level == 0, "imports are absolute: mitmproxy loads addon.py by its path"
    return found


def test_every_module_has_its_layer() -> None:
    assert sorted(module for layer in LAYERS for module in layer) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_inwards(module: str) -> None:
    depth = next(at for at, layer in enumerate(LAYERS) if module in layer)
    inner: set[str] = set().union(*LAYERS[:depth])
    own = {name.partition(".")[2] for name in imports(module) if name.startswith("metahub_addon.")}
    assert own <= inner


@pytest.mark.parametrize("module", MODULES)
def test_only_outer_modules_do_io(module: str) -> None:
    packages = {name.partition(".")[0] for name in imports(module)}
    assert {name for name in packages if module not in OUTER.get(name, {module})} == set()


@pytest.mark.parametrize("module", MODULES)
def test_names(module: str) -> None:
    assert module not in sys.stdlib_module_names
    own_test = Path(__file__).with_name(f"test_{module}.py")
    assert own_test.exists()
