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
    {"bounded_body", "challenge", "client_certificates", "clients", "connection_bound"}
    | {"credentials", "digest", "file_replacement", "firewall", "idle_addons"}
    | {"listen_backlog", "local_hosts", "match", "media_types", "microarchitectures"}
    | {"mitmproxy_wrap", "nfd", "oci_platform", "open_files", "own_addresses", "own_loop"}
    | {"places", "printable", "probe", "reachability", "registries", "self_check"}
    | {"service_manager", "shared_work", "socket_table", "stillness", "strict_yaml"}
    | {"tls_settings", "web_certificate", "web_connections", "web_listen", "web_secret"}
    | {"yaml_splices"},
    {"amdgpu", "authority_files", "client_hello_bound", "cloud", "cpu", "cpuinfo"}
    | {"credential_helper", "docker_config", "fabric", "gfx", "header_bound", "hub_request"}
    | {"interception", "login_log", "login_throttle", "manifest", "metrics"}
    | {"own_connections", "password_input", "passwords", "registry", "registry_tokens"}
    | {"runtime_login", "strict_keys", "this_host", "tls_options", "tls_resumption"}
    | {"trailer_refusal", "types_text", "versions", "web_sockets"},
    {"bypass", "cuda", "hub_connections", "node_addon", "node_features", "types_editor"}
    | {"types_removal", "web_peer"},
    {"features", "nvidia"},
    {"index", "machine"},
    {"detect", "login_features", "nesting", "profile_parser", "requirements"}
    | {"type_digest", "upstream", "web_type_form"},
    {"answer", "flow_repository", "http_connections", "hub_config", "led_places"}
    | {"own_detection", "profile_writer", "relay", "selection", "token_protocol"},
    {"access", "compatibility", "decisions", "http_fetcher", "hub_accounts_parser"}
    | {"hub_login", "hub_routes", "hub_rules_parser", "hub_upstreams_parser"}
    | {"interception_addon", "named_files", "oci_error", "profile_file", "recent", "report"}
    | {"static_machines", "token_exchange", "type_selection", "upstream_credentials"}
    | {"web_session", "web_views"},
    {"hub_client", "hub_config_parser", "hub_flow", "hub_login_check", "layers_addon"}
    | {"login_report", "registry_http", "registry_login", "remote", "rewrite", "web_matrix"},
    {"cli_hub", "hub_config_file", "hub_registry", "registry_client"},
    {"cli", "hub"},
    {"hub_admission", "web_hub"},
    {"hub_addon", "web_parts"},
    {"web_handler"},
    {"web_hub_handler", "web_probes", "web_styles"},
    {"web_api_handler", "web_page"},
    {"web_api", "web_pages", "web_type_pages", "web_types_api"},
    {"web_server"},
    {"web_addon"},
    {"addon"},
)
# What only the outermost modules may touch.
OUTER = {
    "mitmproxy": {"addon", "flow_repository", "interception_addon", "layers_addon", "node_addon"}
    | {"client_hello_bound", "header_bound", "hub_addon", "hub_connections", "hub_flow"}
    | {"idle_addons", "listen_backlog", "self_check", "tls_options", "web_addon"},
    "httpx": {
        "bounded_body",
        "led_places",
        "http_connections",
        "http_fetcher",
        "hub_client",
        "registry_http",
        "remote",
    }
    | {"this_host"},
    "http": {"http_connections", "relay", "web_handler"},
    "tornado": {"web_api", "web_handler", "web_hub_handler", "web_page", "web_server"}
    | {"web_session", "web_type_pages"},
    "pynvml": {"this_host"},
    "certifi": {"tls_settings"},
    "click": {"cli", "cli_hub", "password_input"},
    "rich": {"cli", "cli_hub", "login_report", "report"},
    "os": {
        "authority_files",
        "credential_helper",
        "file_replacement",
        "hub_addon",
        "hub_config_file",
        "node_addon",
    }
    | {"listen_backlog", "named_files"}
    | {"profile_file", "profile_writer", "this_host", "upstream_credentials", "web_secret"},
    "pathlib": {
        "authority_files",
        "addon",
        "cli",
        "cli_hub",
        "file_replacement",
        "http_fetcher",
        "hub_addon",
    }
    | {"hub_client", "hub_config_file", "own_connections", "password_input", "profile_file"}
    | {"profile_writer", "runtime_login", "this_host", "tls_settings", "upstream_credentials"}
    | {"web_certificate", "web_secret", "web_styles"},
    "socket": {
        "firewall",
        "listen_backlog",
        "own_addresses",
        "reachability",
        "relay",
        "service_manager",
    }
    | {"socket_table", "web_addon", "web_sockets"},
    "socketserver": {"relay"},
    "subprocess": {"credential_helper", "runtime_login", "this_host"},
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
