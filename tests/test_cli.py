import io
import json
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from metahub_addon import __version__
from metahub_addon.cli import main
from metahub_addon.nfd import ARTIFACT_TYPE, SPEC_TYPE
from metahub_addon.probe import ProbeError
from metahub_addon.this_host import ThisHost
from support.descriptors import digest
from support.embedded_registry import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_INDEX,
    EmbeddedRegistry,
    index_of,
    serving,
)

PROFILES = Path(__file__).parent.parent / "profiles"
TYPE1, TYPE2, TYPE4 = (str(PROFILES / f"type{number}.yaml") for number in (1, 2, 4))


def run(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env={"COLUMNS": "200"})


def document(*variants: list[str], media_type: str = DOCKER_LIST) -> bytes:
    children = [
        {
            "mediaType": DOCKER_MANIFEST,
            "digest": digest(at),
            "size": 1,
            "platform": {"os": "linux", "architecture": "amd64", "features": features},
        }
        for at, features in enumerate(variants)
    ]
    return json.dumps(index_of(children, media_type)).encode()


EXAMPLE = document([], ["cpu:broadwell"], ["cpu:haswell", "nvcap:5.2"])


def test_explain_says_why_of_each() -> None:
    result = run("explain", "-", "--profile", TYPE4, stdin=EXAMPLE)
    assert result.exit_code == 0
    assert "fits, behind in nvcap: generic: requires no feature" in result.output
    assert "fits, behind in nvcap: cpu:broadwell: built for" in result.output
    assert "chosen: cpu:haswell: broadwell runs" in result.output
    assert "type4: cpu:haswell, nvcap:5.2: best of 3 that fit, decided by nvcap" in result.output


def test_explain_as_data() -> None:
    result = run("explain", "-", "--json", "--profile", TYPE4, stdin=EXAMPLE)
    assert json.loads(result.stdout)["chosen"] == digest(2)
    several = run(
        *("explain", "-", "--json", "--profile", TYPE1, "--profile", TYPE4), stdin=EXAMPLE
    )
    assert [found["chosen"] for found in json.loads(several.stdout)] == [digest(1), digest(2)]


def test_explain_with_several_profiles_is_a_matrix(tmp_path: Path) -> None:
    file = tmp_path / "index.json"
    file.write_bytes(document([], ["cpu:skylake"]))
    result = run("explain", str(file), "--profile", TYPE1, "--profile", TYPE2)
    assert "image by machine type" in result.output
    assert "type1: generic: the only one that fits" in result.output
    assert "type2: cpu:skylake: best of 2" in result.output


def test_explain_without_a_profile_detects_this_host() -> None:
    result = run("explain", "-", "--json", stdin=document([]))
    assert json.loads(result.stdout)["machine_type"].startswith("detected-")


def test_nothing_fits_is_a_no() -> None:
    result = run("explain", "-", "--profile", TYPE1, stdin=document(["cpu:zen5"]))
    assert result.exit_code == 1
    assert "nothing fits machine type type1" in result.output


def test_explain_an_image_in_a_registry() -> None:
    registry = EmbeddedRegistry()
    inner = registry.put_family("a/b", "list", [[], ["cpu:broadwell"]])
    registry.put("a/b", index_of([inner], OCI_INDEX), "nested")
    image = registry.put_image("a/b", "single")
    registry.manifests[("a/b", "single")] = registry.manifests[("a/b", image["digest"])]
    with serving(registry):
        name = f"127.0.0.1:{registry.port}/a/b"
        for tag in ("list", "nested"):
            result = run("explain", f"{name}:{tag}", "--json", "--profile", TYPE1)
            assert json.loads(result.stdout)["reason"].startswith("cpu:broadwell")
        single = run("explain", f"{name}:single", "--profile", TYPE1)
        assert single.exit_code == 2
        assert f"metahub: {name}:single: is a {DOCKER_MANIFEST}, not an index" in single.stderr
        missing = run("explain", f"{name}:missing", "--profile", TYPE1)
        assert missing.exit_code == 2
        assert f"{name}:missing: the registry answered 404" in missing.stderr


def test_explain_heeds_compatibility_artifacts_when_asked_to() -> None:
    registry = EmbeddedRegistry()
    registry.put_family("a/b", "list", [[], ["cpu:broadwell"]])
    child = json.loads(registry.manifests[("a/b", "list")][1])["manifests"][1]["digest"]
    spec = (
        b"version: v1alpha1\ncompatibilities: [{rules: [{name: future, matchFeatures: [{feature: "
        b"kernel.version, matchExpressions: {major: {op: Gt, value: ['99']}}}]}]}]\n"
    )
    registry.attach("a/b", child, ARTIFACT_TYPE, SPEC_TYPE, spec, "2026")
    with serving(registry):
        name = f"127.0.0.1:{registry.port}/a/b:list"
        plain = run("explain", name, "--profile", TYPE1)
        asked = run("explain", name, "--profile", TYPE1, "--nfd")
    assert "type1: cpu:broadwell" in plain.output
    assert "NFD's rule 'future' does not hold" in asked.output
    assert "type1: generic: the only one that fits" in asked.output
    wrong = run("explain", "-", "--nfd", stdin=document([]))
    assert wrong.exit_code == 2
    assert "-: --nfd needs an image in a registry" in wrong.stderr


def test_a_registry_cannot_steer_the_terminal() -> None:
    registry = EmbeddedRegistry()
    headers = {"Content-Type": "a/\x1b]0"}
    registry.faults["/v2/a/"] = lambda handler: handler.reply(200, b"{}", headers)
    with serving(registry):
        result = run("explain", f"127.0.0.1:{registry.port}/a", "--profile", TYPE1)
    assert result.exit_code == 2
    assert "is a a/\\x1b]0, not an index" in result.stderr


def test_a_wide_matrix_can_be_read_at_80_columns() -> None:
    profiles = [text for file in sorted(PROFILES.glob("*.yaml")) for text in ("--profile", file)]
    arguments = ["explain", "-", *map(str, profiles)]
    result = CliRunner().invoke(main, arguments, input=EXAMPLE, env={"COLUMNS": "80"})
    assert result.output.count("image by machine type") == 4
    assert result.output.count("chosen") == 10
    assert max(map(len, result.output.splitlines())) <= 80


def test_a_program_that_catches_the_output() -> None:
    with redirect_stdout(io.StringIO()) as caught:
        main(["addon"], standalone_mode=False)
    assert caught.getvalue().endswith("addon.py\n")


def test_a_pipe_without_utf8() -> None:
    arguments = ["explain", "-", "--profile", TYPE4]
    result = CliRunner(charset="ascii").invoke(main, arguments, input=EXAMPLE)
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (["-"], b"{", "-: is not JSON"),
        (["-"], b"[]", "-: index: is not an object"),
        (["-"], json.dumps({"mediaType": "a/b"}).encode(), "-: mediaType: is 'a/b'"),
        (["-"], b'{"mediaType": []}', "-: mediaType: is '[]'"),
        (["-"], b'{"schemaVersion": 2}', "-: manifests: is not a list"),
        (["missing.json"], None, "missing.json"),
        (["Not An Image"], None, "'Not An Image' is no image's name"),
        (["-", "--profile", "missing.yaml"], b"", "missing.yaml: cannot be read: No such file"),
        (["127.0.0.1:1/a"], None, "127.0.0.1:1/a:latest: ConnectError"),
        (["r.test/a", "--ca", "missing.pem"], None, "missing.pem"),
    ],
)
def test_bad_input_is_named(arguments: list[str], stdin: bytes | None, says: str) -> None:
    result = run("explain", *arguments, stdin=stdin)
    assert result.exit_code == 2
    assert result.stderr.startswith("metahub: ")
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_check(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: a\nmatch: maybe\n")
    good = run("check", TYPE1, TYPE4)
    assert good.exit_code == 0
    assert f"{TYPE4}: type4, linux/amd64, cpu:broadwell, nvcap:5.2" in good.output
    bad = run("check", TYPE1, str(broken))
    assert bad.exit_code == 2
    assert f"{broken}:2: match: 'maybe' is unknown" in bad.stderr
    assert f"{TYPE1}: type1" in bad.stdout
    listed = json.loads(run("check", "--json", TYPE1).stdout)
    assert listed == [
        {"machine_type": "type1", "platform": "linux/amd64", "features": ["cpu:broadwell"]}
    ]


def test_detect_prints_a_profile(tmp_path: Path) -> None:
    file = tmp_path / "detected.yaml"
    file.write_text(run("detect").stdout)
    assert run("check", str(file)).exit_code == 0
    data = json.loads(run("detect", "--json").stdout)
    assert f"machine_type: {data['machine_type']}" in file.read_text()
    assert {fact["source"] for fact in data["facts"]} >= {"/proc/cpuinfo"}
    assert [fact["feature"] for fact in data["facts"]] == data["features"]
    assert isinstance(data["warnings"], list)


def test_detect_writes_a_file(tmp_path: Path) -> None:
    file = tmp_path / "detected.yaml"
    assert run("detect", "--no-metadata", "-o", str(file)).stdout == ""
    assert run("check", str(file)).exit_code == 0
    assert file.read_text() == run("detect").stdout
    failed = run("detect", "-o", str(tmp_path / "none" / "p.yaml"))
    assert failed.exit_code == 2
    assert "none/p.yaml: cannot be written: No such file" in failed.stderr


def test_what_is_not_detected_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: ThisHost, path: str) -> str:
        raise ProbeError(f"{path} cannot be read: denied")

    monkeypatch.setattr(ThisHost, "read", broken)
    result = run("detect")
    assert result.exit_code == 0
    assert "metahub: warning: /proc/cpuinfo cannot be read: denied" in result.stderr


def test_check_runs_no_command(tmp_path: Path) -> None:
    file, mark = tmp_path / "own.yaml", tmp_path / "ran"
    file.write_text(f"name: own\ndetect: {{mpi: {{command: touch {mark}}}}}\n")
    assert run("check", str(file)).exit_code == 0
    assert not mark.exists()
    run("explain", "-", "--profile", str(file), stdin=document([]))
    assert mark.exists()


def test_addon_prints_a_path() -> None:
    path = Path(run("addon").stdout.strip())
    assert path.is_absolute()
    assert path.name == "addon.py"
    assert path.exists()


@pytest.mark.parametrize("command", [[], ["addon"], ["check"], ["detect"], ["explain"]])
def test_help_has_an_example(command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "Example: " in result.output


def test_wrong_use() -> None:
    assert run("explain").exit_code == 2
    assert run("check").exit_code == 2
    assert run("nothing").exit_code == 2
    assert __version__ in run("--version").output
