"""A host from memory: what it would answer to each question of detection."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from metahub_addon.probe import Absent, NvidiaDriver, ProbeError


@dataclass
class FakeHost:
    """Files by path, commands by their words, services by URL; an Exception is raised."""

    machine: str = "x86_64"
    files: Mapping[str, str | Exception] = field(default_factory=dict)
    commands: Mapping[str, str | Exception] = field(default_factory=dict)
    services: Mapping[str, str | Exception] = field(default_factory=dict)
    driver: NvidiaDriver | Exception | None = None
    asked: list[str] = field(default_factory=list)

    def read(self, path: str) -> str:
        return _given(self.files, path)

    def names(self, path: str) -> tuple[str, ...]:
        prefix = path.rstrip("/") + "/"
        inside = [file for file in self.files if file.startswith(prefix)]
        named = sorted({file.removeprefix(prefix).split("/")[0] for file in inside})
        if not named:
            raise Absent(f"{path} does not exist")
        return tuple(named)

    def run(self, command: Sequence[str], seconds: float) -> str:
        return _given(self.commands, " ".join(command))

    def fetch(self, method: str, url: str, headers: Mapping[str, str], seconds: float) -> str:
        self.asked.append(f"{method} {url}")
        if url not in self.services:
            raise ProbeError("no answer (ConnectTimeout)")
        return _given(self.services, url)

    def nvml(self) -> NvidiaDriver:
        if isinstance(self.driver, Exception):
            raise self.driver
        if self.driver is None:
            raise Absent("no library")
        return self.driver


def _given(answers: Mapping[str, str | Exception], key: str) -> str:
    if key not in answers:
        raise Absent(f"{key} does not exist")
    answer = answers[key]
    if isinstance(answer, Exception):
        raise answer
    return answer
