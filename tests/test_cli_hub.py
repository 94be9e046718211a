import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from metahub_addon import cli_hub
from metahub_addon.hub_routes import TYPES_PATH
from metahub_addon.passwords import matches
from support.embedded_registry import EmbeddedRegistry, Handler, serving

PROFILES = Path(__file__).parent.parent / "profiles"
TYPES = {"type1": ["cpu:broadwell"], "type2": ["cpu:skylake"], "exotic": ["fpga:x"]}
BASIC = "Basic cW5pYjpnZWhlaW0h"


@dataclass
class Hub:
    """A hub that knows one account, what it answers, and the folder with the only commands."""

    registry: EmbeddedRegistry
    path: Path
    answer: dict[str, Any]

    @property
    def name(self) -> str:
        return f"127.0.0.1:{self.registry.port}"

    def reply(self, handler: Handler) -> None:
        if handler.headers.get("Authorization") != BASIC:
            body = {"errors": [{"code": "UNAUTHORIZED", "message": "wrong password"}]}
            return handler.reply(401, json.dumps(body).encode())
        return handler.reply(200, json.dumps(self.answer).encode())

    def runtime(
        self, name: str, script: str = 'cat >"$0.password"; echo "$@" >"$0.arguments"'
    ) -> Path:
        """Put a command of a runtime's name there."""
        file = self.path / name
        file.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
        file.chmod(0o755)
        return file

    def login(self, *arguments: str, password: str = "geheim!", profile: str = "type1") -> Result:
        command = ["--registry", self.name, "--plain-http", "--user", "qnib", "--password-stdin"]
        if profile:
            command += ["--profile", str(PROFILES / f"{profile}.yaml")]
        return run(cli_hub.login, *command, *arguments, stdin=password)


def run(command: Any, *arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=stdin, env={"COLUMNS": "200"})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setenv("PATH", str(tmp_path))
    types = [
        {"machine_type": name, "platform": "linux/amd64", "features": features}
        for name, features in TYPES.items()
    ]
    found = Hub(EmbeddedRegistry(), tmp_path, {"account": "qnib", "types": types})
    found.registry.faults[TYPES_PATH] = found.reply
    with serving(found.registry):
        yield found


@pytest.mark.parametrize(
    ("runtime", "profile", "login"),
    [("docker", "type1", "qnib-type1"), ("podman", "type2", "qnib-type2")],
)
def test_the_runtime_is_logged_in_as_what_this_host_is(
    hub: Hub, runtime: str, profile: str, login: str
) -> None:
    there = hub.runtime(runtime)
    result = hub.login(profile=profile)
    assert result.exit_code == 0, result.output
    assert f"{runtime} is logged in at {hub.name} as {login}\n" in result.output
    assert f"{profile}: cpu:" in result.output
    assert there.with_name(f"{runtime}.password").read_text() == "geheim!"
    assert f"--username={login}" in there.with_name(f"{runtime}.arguments").read_text()
    assert "geheim" not in result.output


def test_a_dry_run_needs_no_runtime_and_runs_none(hub: Hub) -> None:
    result = hub.login("--dry-run")
    assert result.exit_code == 0
    assert result.output.endswith("log in as qnib-type1\n")
    there = hub.runtime("docker")
    result = hub.login("--dry-run")
    words = "docker login --username=qnib-type1 --password-stdin"
    assert result.output.endswith(f"would run: {words} {hub.name}\n")
    assert not there.with_name("docker.password").exists()


def test_this_host_is_detected(hub: Hub) -> None:
    hub.answer["types"] = [{"machine_type": "any", "platform": "linux/amd64", "features": []}]
    result = hub.login("--dry-run", "--json", "--no-metadata", profile="")
    found = json.loads(result.stdout)
    assert (found["machine_type"], found["logged_in"]) == ("any", False)


def test_as_data(hub: Hub) -> None:
    hub.runtime("podman")
    found = json.loads(hub.login("--json").stdout)
    assert (found["login"], found["runtime"], found["logged_in"]) == ("qnib-type1", "podman", True)
    assert [one["chosen"] for one in found["types"]] == [True, False, False]


def test_nothing_fits(hub: Hub) -> None:
    hub.runtime("docker")
    hub.answer["types"] = hub.answer["types"][2:]
    result = hub.login("--json")
    assert result.exit_code == 1
    assert "none of the account's 1 machine types fits this host" in result.stderr
    assert json.loads(result.stdout)["machine_type"] is None


def test_a_type_by_name(hub: Hub) -> None:
    hub.runtime("docker")
    result = hub.login("--type", "exotic")
    assert result.exit_code == 0
    assert "warning: machine type exotic does not fit this host" in result.stderr
    assert "exotic: as you say" in result.stdout
    unknown = hub.login("--type", "type9")
    assert unknown.exit_code == 2
    assert "has no machine type 'type9', it has: type1, type2, exotic" in unknown.stderr


def test_a_login_that_is_refused(hub: Hub) -> None:
    hub.runtime("docker", "echo x509: unknown authority >&2; exit 1")
    wrong = hub.login(password="falsch")
    assert wrong.exit_code == 1
    assert "the login is refused (401): wrong password" in wrong.stderr
    assert "falsch" not in wrong.output
    refused = hub.login()
    assert refused.exit_code == 1
    assert "docker login ended with 1: x509: unknown authority" in refused.stderr
    place = f"/etc/docker/certs.d/{hub.name}/ca.crt"
    assert f"put the hub's CA where docker looks for it, {place}" in refused.stderr
    hub.runtime("docker", "echo no daemon; exit 1")
    assert "CA" not in hub.login().stderr


def test_what_is_no_hub(hub: Hub) -> None:
    hub.answer = {}
    result = hub.login("--dry-run")
    assert result.exit_code == 2
    assert "is no metahub hub: account: is not a string" in result.stderr
    hub.registry.faults[TYPES_PATH] = lambda handler: handler.reply(404)
    result = hub.login("--dry-run")
    assert result.exit_code == 2
    assert "answered 404, which no hub does" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--registry", "https://hub.test"], "--registry: 'https://hub.test' is not HOST[:PORT]"),
        (["--profile", "missing.yaml", "--dry-run"], "missing.yaml: cannot be read"),
        (["--password-file", "x", "--dry-run"], "give one of them"),
        ([], "neither docker nor podman is here"),
        (["--runtime", "podman"], "no podman is here"),
    ],
)
def test_wrong_use(hub: Hub, arguments: list[str], says: str) -> None:
    result = hub.login(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_hash_for_the_file() -> None:
    result = run(cli_hub.password, "--rounds", "4", stdin="geheim!\n")
    assert result.exit_code == 0
    assert matches("geheim!", result.output.strip())
    assert result.output.startswith("$2")


@pytest.mark.parametrize("given", ["", "a\nb\n", "ä" * 37])
def test_no_password(given: str) -> None:
    result = run(cli_hub.password, "--rounds", "4", stdin=given)
    assert result.exit_code == 2
    assert result.stderr.startswith("metahub: ")
