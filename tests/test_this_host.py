import platform
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pynvml
import pytest

from metahub_addon.probe import Absent, NvidiaDriver, ProbeError
from metahub_addon.this_host import ThisHost

HOST = ThisHost()


def test_files(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"text\xff\n")
    (tmp_path / "a").mkdir()
    host = ThisHost(tmp_path)
    assert host.read("/b") == "text\ufffd\n"
    assert host.names("/") == ("a", "b")
    assert host.machine == platform.machine()
    for path in ("/none", "/b/c"):
        with pytest.raises(Absent, match=r"does not exist$"):
            host.read(path)
        with pytest.raises(Absent, match=r"does not exist$"):
            host.names(path)
    with pytest.raises(ProbeError, match=r"^/a cannot be read"):
        host.read("/a")
    with pytest.raises(ProbeError, match=r"cannot be listed"):
        host.names("/" + "x" * 300)


def test_the_kernels_own_files_are_read() -> None:
    assert HOST.read("/proc/sys/kernel/osrelease").strip() == platform.release()
    assert "processor" in HOST.read("/proc/cpuinfo")


def test_commands() -> None:
    assert HOST.run(["echo", "$HOME", "a b"], 5) == "$HOME a b\n"
    assert HOST.run(["sh", "-c", "echo $LC_ALL"], 5) == "C\n"
    with pytest.raises(Absent, match=r"^the command no-such-command does not exist"):
        HOST.run(["no-such-command"], 5)
    with pytest.raises(ProbeError, match=r"^sh ended with 3: why$"):
        HOST.run(["sh", "-c", "echo why >&2; exit 3"], 5)
    with pytest.raises(ProbeError, match=r"^yes printed more than 1048576 bytes$"):
        HOST.run(["yes"], 30)
    with pytest.raises(ProbeError, match=r"^sh took longer than 0.2 s$"):
        HOST.run(["sh", "-c", "exec >&- 2>&-; sleep 60"], 0.2)
    with pytest.raises(ProbeError, match=r"^/ cannot be run"):
        HOST.run(["/"], 5)


def test_a_command_that_takes_too_long_ends_with_all_that_it_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    with pytest.raises(ProbeError, match=r"^sh took longer than 0.5 s$"):
        HOST.run(["sh", "-c", f"sleep 60 & echo $! > {mark}; wait"], 0.5)
    assert _ends(int(mark.read_text()))


def test_a_command_that_ends_takes_along_what_it_has_started(tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    text = HOST.run(["sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! > {mark}; echo ok"], 5)
    assert text == "ok\n"
    assert _ends(int(mark.read_text()))


def _ends(pid: int) -> bool:
    deadline = time.monotonic() + 10
    while _runs(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def service() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path in ("/kind", "/long") and self.headers["Asked"] == "yes"
            body = b"x" * 5000 if self.path == "/long" else b"c5.large"
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_services(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")  # counts for nothing here
    assert HOST.fetch("GET", f"{service}/kind", {"Asked": "yes"}, 5) == "c5.large"
    with pytest.raises(ProbeError, match=r"^answered 404$"):
        HOST.fetch("GET", f"{service}/kind", {}, 5)
    with pytest.raises(ProbeError, match=r"^answered too much or too slowly$"):
        HOST.fetch("GET", f"{service}/long", {"Asked": "yes"}, 5)
    with pytest.raises(ProbeError, match=r"^no answer \(ConnectError\)$"):
        HOST.fetch("GET", "http://127.0.0.1:1/", {}, 5)
    with pytest.raises(ProbeError, match=r"^no answer \(UnicodeEncodeError\)$"):
        HOST.fetch("GET", service, {"Token": "t\u00f6k"}, 5)


def test_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[bool] = []
    for name, value in {
        "nvmlInit": None,
        "nvmlDeviceGetCount": 2,
        "nvmlSystemGetCudaDriverVersion_v2": 12040,
        "nvmlSystemGetDriverVersion": "550.54.15",
    }.items():
        monkeypatch.setattr(pynvml, name, lambda value=value: value)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lambda at: at)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCudaComputeCapability", lambda at: (8, at * 6))
    monkeypatch.setattr(pynvml, "nvmlShutdown", lambda: closed.append(True))
    assert HOST.nvml() == NvidiaDriver("550.54.15", "12.4", ("8.0", "8.6"))

    def lost(_: int) -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)

    monkeypatch.setattr(pynvml, "nvmlDeviceGetHandleByIndex", lost)
    with pytest.raises(ProbeError, match="lost"):
        HOST.nvml()
    assert closed == [True, True]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, Absent),
        (pynvml.NVML_ERROR_DRIVER_NOT_LOADED, Absent),
        (pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH, ProbeError),
    ],
)
def test_no_nvml(monkeypatch: pytest.MonkeyPatch, code: int, kind: type[ProbeError]) -> None:
    def init() -> None:
        raise pynvml.NVMLError(code)

    monkeypatch.setattr(pynvml, "nvmlInit", init)
    with pytest.raises(ProbeError) as caught:
        HOST.nvml()
    assert type(caught.value) is kind
