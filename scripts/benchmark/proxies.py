"""Start and stop what stands between a client and the registry."""

import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmark.network import GROUP, REGISTRY_HOST
from benchmark.registry import BenchRegistry, registry_config, start_registry
from benchmark.routes import ProxyRoute
from clients.node import wait_for

NGINX_PORT, CACHE_PORT = 8443, 8444
PROFILE = Path(__file__).resolve().parents[2] / "profiles" / "type4.yaml"


def mitmdump_command(addon: str, confdir: Path, *options: str) -> list[str]:
    """mitmdump as the installed unit runs it: a profile, a line a rewrite."""
    command = [str(Path(sys.executable).parent / "mitmdump"), "-s", addon]
    for option in (f"confdir={confdir}", "flow_detail=0", f"metahub_profile={PROFILE}", *options):
        command += ["--set", option]
    return command


@contextmanager
def running_mitmdump(registry: BenchRegistry, addon: str, route: ProxyRoute) -> Iterator[int]:
    """A mitmdump in transparent and regular mode on the route's ports; its process id."""
    node = registry.node
    command = ["setpriv", "--regid", str(GROUP), "--clear-groups"]
    command += mitmdump_command(
        addon,
        node.folder / "mitmproxy",
        f"ssl_verify_upstream_trusted_ca={registry.ca}",
        *route.options,
    )
    command += ["--mode", f"transparent@127.0.0.1:{route.port}"]
    command += ["--mode", f"regular@127.0.0.1:{route.port + 1}"]
    node.start(f"mitmdump-{route.key}", command, **route.environment)
    process = node.daemons[-1]
    try:
        wait_until_listening(process, node.folder / f"mitmdump-{route.key}.log", route.port + 1)
        yield process.pid
    finally:
        stop(process)


@contextmanager
def running_reverse(
    registry: BenchRegistry,
    name: str,
    addon: str,
    port: int,
    upstream: int,
    options: Sequence[str] = (),
) -> Iterator[int]:
    """A mitmdump in reverse mode for one of the registry's ports; its process id.

    `addon` is empty for mitmdump alone.
    """
    node = registry.node
    command = [str(Path(sys.executable).parent / "mitmdump"), *(["-s", addon] if addon else [])]
    confdir = f"confdir={node.folder}/mitmproxy"
    trusted = f"ssl_verify_upstream_trusted_ca={registry.ca}"
    for option in (confdir, "flow_detail=0", trusted, *options):
        command += ["--set", option]
    command += ["--mode", f"reverse:https://{REGISTRY_HOST}:{upstream}@127.0.0.1:{port}"]
    node.start(name, command)
    process = node.daemons[-1]
    try:
        wait_until_listening(process, node.folder / f"{name}.log", port)
        yield process.pid
    finally:
        stop(process)


def layers_by(log: Path) -> dict[str, int]:
    """How many layers took which way, as the addon says in its last line."""
    said = log.read_text(errors="replace").rpartition("metahub: ")[2]
    return {way: int(count) for way, count in re.findall(r"layers (\w+): (\d+)", said)}


def wait_until_listening(process: "subprocess.Popen[bytes]", log: Path, port: int) -> None:
    """Return once something accepts on the port; RuntimeError with the log if it never will."""
    end = time.monotonic() + 60
    while True:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"{log.stem} did not come up: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.01)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a daemon and wait for it."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def authorities(registry: BenchRegistry) -> Path:
    """The CAs that clients trust: the registry's own and the proxies'."""
    both = registry.node.folder / "authorities.pem"
    proxies = registry.node.folder / "mitmproxy" / "mitmproxy-ca-cert.pem"
    both.write_bytes(registry.ca.read_bytes() + proxies.read_bytes())
    return both


@contextmanager
def running_nginx(registry: BenchRegistry) -> Iterator[int]:
    """An nginx, TLS to TLS, as one would set it up for large bodies; its process id."""
    node = registry.node
    file = node.folder / "nginx.conf"
    file.write_text(nginx_config(node.folder, registry))
    node.start("nginx", ["nginx", "-e", "stderr", "-c", str(file)])
    process = node.daemons[-1]
    try:
        wait_until_listening(process, node.folder / "nginx.log", NGINX_PORT)
        yield process.pid
    finally:
        stop(process)


def nginx_config(folder: Path, registry: BenchRegistry) -> str:
    """Buffers larger than nginx's own, no temporary files, upstream verified and kept alive."""
    return f"""
daemon off; worker_processes auto; pid {folder}/nginx.pid;
events {{ }}
http {{
  access_log off;
  upstream registry {{ server {REGISTRY_HOST}:443; keepalive 8; }}
  server {{
    listen {NGINX_PORT} ssl;
    ssl_certificate {registry.cert}; ssl_certificate_key {registry.key};
    location / {{
      proxy_pass https://registry;
      proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host;
      proxy_ssl_name {REGISTRY_HOST}; proxy_ssl_server_name on;
      proxy_ssl_verify on; proxy_ssl_trusted_certificate {registry.ca};
      proxy_buffer_size 64k; proxy_buffers 16 128k; proxy_busy_buffers_size 256k;
      proxy_max_temp_file_size 0; client_body_temp_path {folder}/nginx-body;
      proxy_temp_path {folder}/nginx-temp;
    }}
  }}
}}
"""


class PullThroughCache:
    """A docker-registry that keeps what it has been asked for."""

    def __init__(self, registry: BenchRegistry) -> None:
        self.storage = registry.node.folder / "cache"
        address = f":{CACHE_PORT}"
        config = registry_config(self.storage, address, registry.cert, registry.key)
        config["proxy"] = {"remoteurl": f"https://{REGISTRY_HOST}"}
        self.pid = start_registry(registry.node, "cache", config, registry.ca)
        self._process = registry.node.daemons[-1]
        log = registry.node.folder / "cache.log"
        wait_until_listening(self._process, log, CACHE_PORT)

    def stop(self) -> None:
        """End it and free its space."""
        stop(self._process)
        self.forget()

    def forget(self) -> None:
        """Make it cold."""
        shutil.rmtree(self.storage / "docker", ignore_errors=True)

    def wait_until_kept(self, digest: str) -> None:
        """Wait for a blob that it stores behind the answer."""
        kind, _, hexadecimal = digest.partition(":")
        data = f"docker/registry/v2/blobs/{kind}/{hexadecimal[:2]}/{hexadecimal}/data"
        wait_for("the cached layer", (self.storage / data).exists)
