"""The cloud-init snippet and the Ansible play call scripts/install as it wants to be called."""

import re
import shlex
import subprocess
from typing import Any

from deploy.manifests import SCRIPTS, documents

SNIPPET = SCRIPTS / "cloud-init" / "metahub.yaml"
PLAYBOOK = SCRIPTS / "ansible" / "metahub.yml"


def play() -> dict[str, Any]:
    ((found,),) = documents(PLAYBOOK)
    assert isinstance(found, dict)
    return found


def tasks() -> list[dict[str, Any]]:
    return [task for block in play()["tasks"] for task in block["block"]]


def known_options(command: str) -> set[str]:
    """The long options in `scripts/COMMAND --help`."""
    asked = [str(SCRIPTS / command), "--help"]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True)
    return set(re.findall(r"--[a-z-]+", told.stdout))


def snippet() -> str:
    (found,) = documents(SNIPPET)
    (command,) = found["runcmd"]
    assert isinstance(command, str)
    return command


def test_cloud_init_knows_the_snippet_by_its_first_line() -> None:
    assert SNIPPET.read_text().startswith("#cloud-config\n")


def test_the_snippet_is_shell() -> None:
    subprocess.run(["sh", "-n"], input=snippet(), text=True, check=True)


def test_the_snippet_installs_what_it_has_cloned() -> None:
    clone, install = snippet().split("&&")
    folder = shlex.split(clone)[-1]
    program, *arguments = shlex.split(install)
    assert program == f"{folder}/scripts/install"
    assert (SCRIPTS / "install").stat().st_mode & 0o111
    options = {argument for argument in arguments if argument.startswith("-")}
    assert options <= known_options("install")


def test_the_play_names_options_that_exist() -> None:
    commands = {
        str(task["ansible.builtin.command"]["argv"])
        for task in tasks()
        if "ansible.builtin.command" in task
    }
    (install,) = (command for command in commands if "scripts/install" in command)
    (uninstall,) = (command for command in commands if "scripts/uninstall" in command)
    options = set(re.findall(r"--[a-z-]+", install))
    assert options == {"--runtime", "--mode", "--profile", "--registry"}
    assert options <= known_options("install")
    assert not re.findall(r"--[a-z-]+", uninstall)


def test_the_play_tells_by_the_installers_words_whether_it_changed_anything() -> None:
    (task,) = (
        task
        for task in tasks()
        if "scripts/install" in str(task.get("ansible.builtin.command", ""))
    )
    assert "'nothing to change' not in" in task["changed_when"]
    assert '"nothing to change"' in (SCRIPTS / "installer" / "cli.py").read_text()


def test_the_play_copies_what_the_installation_is_made_of() -> None:
    (copy,) = (task for task in tasks() if task.get("loop"))
    for name in copy["loop"]:
        assert (SCRIPTS.parent / name).exists()


def test_every_variable_has_a_default() -> None:
    used = set(re.findall(r"\bmetahub_[a-z]+", PLAYBOOK.read_text()))
    registered = {task["register"] for task in tasks() if "register" in task}
    assert used - registered - {"metahub_addon"} == set(play()["vars"])
