"""The host that this process runs on, as a Probe: its files, commands and services."""

import os
import platform
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path

import httpx
import pynvml

from metahub_addon.probe import Absent, NvidiaDriver, ProbeError

_MAX_BYTES = 16 * 1024 * 1024
_MAX_ANSWER = 4096
_MAX_OUTPUT = 1024 * 1024
_PIECE = 65536
_SHOWN = 200


class ThisHost:
    """Files below `root`, commands and services of this host."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    @property
    def machine(self) -> str:
        """The architecture as the kernel names it."""
        return platform.machine() or "unknown"

    def read(self, path: str) -> str:
        """The text of a file; raises Absent or ProbeError."""
        try:
            with (self._root / path.lstrip("/")).open("rb") as file:
                # In pieces: for one huge read the kernel's own files want as much memory.
                pieces = (file.read(_PIECE) for _ in range(_MAX_BYTES // _PIECE))
                whole = b"".join(takewhile(bool, pieces))
            return whole.decode("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Absent(f"{path} does not exist") from error
        except (OSError, ValueError) as error:
            raise ProbeError(f"{path} cannot be read: {error}") from error

    def names(self, path: str) -> tuple[str, ...]:
        """The names in a folder, sorted; raises Absent or ProbeError."""
        try:
            return tuple(sorted(os.listdir(self._root / path.lstrip("/"))))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise Absent(f"{path} does not exist") from error
        except OSError as error:
            raise ProbeError(f"{path} cannot be listed: {error}") from error

    def run(self, command: Sequence[str], seconds: float) -> str:
        """What a command prints; raises Absent, or ProbeError if it fails or takes too long."""
        name = command[0]
        try:
            process = subprocess.Popen(  # noqa: S603 (the operator's own command, without a shell)
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise Absent(f"the command {name} does not exist") from error
        except (OSError, ValueError) as error:
            raise ProbeError(f"{name} cannot be run: {error}") from error
        try:
            out, err = _communicate(process, name, seconds)
        finally:
            _end(process)
        if process.returncode:
            said = (err or out).decode("utf-8", "replace").strip()[:_SHOWN]
            raise ProbeError(f"{name} ended with {process.returncode}: {said}")
        return out.decode("utf-8", "replace")

    def fetch(self, method: str, url: str, headers: Mapping[str, str], seconds: float) -> str:
        """What a service answers; raises ProbeError. Proxies of the environment do not count."""
        end = time.monotonic() + seconds
        body = b""
        try:
            with (
                httpx.Client(trust_env=False, timeout=seconds) as client,
                client.stream(method, url, headers=dict(headers)) as answer,
            ):
                for piece in answer.iter_raw(1024):
                    body += piece
                    if len(body) > _MAX_ANSWER or time.monotonic() > end:
                        raise ProbeError("answered too much or too slowly")
                status = answer.status_code
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise ProbeError(f"no answer ({type(error).__name__})") from error
        if status != 200:
            raise ProbeError(f"answered {status}")
        return body.decode("utf-8", "replace")

    def nvml(self) -> NvidiaDriver:
        """What NVIDIA's management library reports; raises Absent without library or GPU."""
        try:
            pynvml.nvmlInit()
        except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded) as error:
            raise Absent(str(error)) from error
        except pynvml.NVMLError as error:
            raise ProbeError(str(error)) from error
        try:
            count = pynvml.nvmlDeviceGetCount()
            pairs = [
                pynvml.nvmlDeviceGetCudaComputeCapability(pynvml.nvmlDeviceGetHandleByIndex(at))
                for at in range(count)
            ]
            cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
            return NvidiaDriver(
                driver=str(pynvml.nvmlSystemGetDriverVersion()),
                cuda=f"{cuda // 1000}.{cuda % 1000 // 10}",
                capabilities=tuple(f"{major}.{minor}" for major, minor in pairs),
            )
        except pynvml.NVMLError as error:
            raise ProbeError(str(error)) from error
        finally:
            pynvml.nvmlShutdown()


def _communicate(
    process: "subprocess.Popen[bytes]", name: str, seconds: float
) -> tuple[bytes, bytes]:
    """Both outputs, bounded in size and time; raises ProbeError."""
    assert process.stdout
    assert process.stderr
    end = time.monotonic() + seconds
    said = {process.stdout.fileno(): bytearray(), process.stderr.fileno(): bytearray()}
    try:
        with selectors.DefaultSelector() as selector:
            for descriptor in said:
                selector.register(descriptor, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(max(0.0, end - time.monotonic()))
                if not ready:
                    raise subprocess.TimeoutExpired(name, seconds)
                for key, _ in ready:
                    piece = os.read(key.fd, _PIECE)
                    said[key.fd] += piece
                    if not piece:
                        selector.unregister(key.fd)
                if max(map(len, said.values())) > _MAX_OUTPUT:
                    raise ProbeError(f"{name} printed more than {_MAX_OUTPUT} bytes")
        process.wait(max(0.1, end - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"{name} took longer than {seconds:g} s") from error
    out, err = map(bytes, said.values())
    return out, err


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a command with all that it has started, and wait no longer than that should take."""
    with suppress(OSError):  # it is gone, or is another user's (as sudo's child is)
        os.killpg(process.pid, signal.SIGKILL)
    for stream in filter(None, (process.stdout, process.stderr)):
        stream.close()
    with suppress(subprocess.TimeoutExpired):
        process.wait(1)
