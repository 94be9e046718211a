"""Whole installations on fake nodes: what they leave, that they converge, that all comes back."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_node import OWN_CA, PUBLIC_CA, FakeNode, make_node, trusts

from installer import carry_out
from installer.cli import main
from installer.items import Item
from installer.journal import load_journal
from installer.node import Done, Node
from installer.problem import Problem
from installer.states import remove
from installer.steps import Put, Step
from installer.trust_bundle import pem
from installer.wanted import MODES

CONFIG = "/etc/metahub/config.yaml"
PROFILE = "/etc/metahub/profile.yaml"
RESTART = ("restart", "containerd.service")
KNOWN_PYTHON = "/usr/bin/python3"


@pytest.fixture(autouse=True)
def _few_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """A step for each of the well-known ones would show nothing more, several times over."""
    few = ("registry-1.docker.io", "quay.io", "*.azurecr.io")
    monkeypatch.setattr("installer.wanted.WELL_KNOWN", few)


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout that nobody works on."""
    folder = tmp_path / "checkout"
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        (folder / "scripts/installer").mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    for name in ("drain.py", "trust_bundle.py"):
        (folder / "scripts/installer" / name).write_text(name)
    (folder / "metahub_addon").mkdir()
    (folder / "metahub_addon/__init__.py").write_text('__version__ = "0.1.0"\n')
    monkeypatch.setattr("installer.cli.CHECKOUT", folder)
    return folder


def run(fake: FakeNode, *arguments: str) -> tuple[int, list[str]]:
    said: list[str] = []
    node = Node(fake.root, fake.commands, KNOWN_PYTHON)
    return main(arguments, node, said.append), said


def install(fake: FakeNode, *options: str) -> list[str]:
    code, said = run(fake, "install", *options)
    assert code == 0
    return said


def uninstall(fake: FakeNode) -> list[str]:
    code, said = run(fake, "uninstall")
    assert code == 0
    return said


@pytest.fixture
def full(tmp_path: Path) -> FakeNode:
    """A node whose files of all kinds are there before, and whose runtimes run."""
    fake = make_node(tmp_path / "root")
    fake.write("/etc/docker/daemon.json", '{"debug":true}', 0o600)
    fake.write("/etc/containerd/config.toml", "version = 2\n")
    fake.write("/etc/docker/certs.d/a.test/ca.crt", PUBLIC_CA)
    fake.write("/etc/containers/registries.conf.d/own.conf", "")
    fake.commands.active |= {"docker.service", "containerd.service"}
    return fake


@pytest.mark.parametrize("distro", ["debian", "ubuntu", "rocky", "sles"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("runtime", ["docker", "containerd", "podman", "auto"])
def test_installed_and_gone(tmp_path: Path, mode: str, distro: str, runtime: str) -> None:
    fake = make_node(tmp_path / "root", distro)
    before = fake.tree()
    install(fake, "--mode", mode, "--runtime", runtime)
    assert trusts(fake, OWN_CA) is (mode != "mirror")
    assert trusts(fake, PUBLIC_CA)
    assert "metahub.service" in fake.commands.active
    assert fake.commands.table is (mode != "mirror")
    assert fake.commands.given == {"/etc/metahub/mitmproxy-ca.pem": ("root", "metahub")}
    assert (fake.root / "etc/metahub/mitmproxy-ca.pem").stat().st_mode & 0o777 == 0o640
    assert uninstall(fake)[-1] == "metahub is gone; all is as it was"
    assert fake.tree() == before
    assert not fake.commands.active
    assert not fake.commands.table


def test_a_dry_run_changes_nothing(full: FakeNode) -> None:
    before = full.tree()
    for mode in MODES:
        assert all(
            line.startswith(("would ", "note: ")) for line in install(full, "--dry-run", "-m", mode)
        )
    assert full.tree() == before
    for ran in full.commands.ran:
        assert ran[1] in ("is-active", "show", "list", "--check", "info", "--version", "-c"), ran
    full.commands.superuser = False
    assert install(full, "--dry-run")


def test_a_dry_uninstall_changes_nothing(full: FakeNode) -> None:
    install(full, "-m", "mirror")
    before = full.tree()
    code, said = run(full, "uninstall", "--dry-run")
    assert code == 0
    assert "would undo /etc/docker/daemon.json" in said
    assert full.tree() == before


@pytest.mark.parametrize("mode", MODES)
def test_the_second_time_nothing_changes(full: FakeNode, mode: str) -> None:
    first = install(full, "-m", mode, "--registry", "reg.test:5000")
    # The runtimes have been restarted: in this world their start is never seen.
    before, ran = full.tree(), len(full.commands.ran)
    journal = load_journal(full.node)
    assert journal.notes
    journal.notes = {}
    journal.save()
    before = full.tree()
    second = install(full, "-m", mode, "--registry", "reg.test:5000")
    assert [line for line in second if not line.startswith("note: ")] == ["nothing to change"]
    assert full.tree() == before
    assert len(first) > len(second)
    verbs = {words[1] for words in full.commands.ran[ran:] if words[0] == "systemctl"}
    assert verbs == {"is-active", "show"}


@pytest.mark.parametrize("path", [a + "-" + b for a in MODES for b in MODES if a != b])
def test_another_mode_leaves_nothing_of_the_first(full: FakeNode, path: str) -> None:
    first, second = path.split("-")
    before = full.tree()
    install(full, "-m", second)
    only_second = {key for key in full.tree() if not key.startswith("var/lib/metahub")}
    uninstall(full)
    full.commands.active |= {"docker.service", "containerd.service"}
    install(full, "-m", first)
    install(full, "-m", second)
    assert {key for key in full.tree() if not key.startswith("var/lib/metahub")} == only_second
    uninstall(full)
    assert full.tree() == before


def test_another_registry_replaces_the_first(node: FakeNode) -> None:
    install(node, "--registry", "a.test:5000")
    install(node, "--registry", "b.test:5001")
    assert "a.test" not in node.read(CONFIG)
    assert "b.test:5001" in node.read(CONFIG)
    assert not node.exists("/etc/docker/certs.d/a.test:5000")
    assert "dnat to :5001" in node.read("/etc/metahub/firewall.nft")
    assert "5000" not in node.read("/etc/metahub/firewall.nft")


def test_a_stop_on_the_way_is_no_failure(node: FakeNode) -> None:
    install(node, "--registry", "reg.test:5000")
    node.commands.ran.clear()
    install(node, "--registry", "reg.test:444")
    verbs = ("stop", "start", "reload", "restart")
    ran = [words[1:] for words in node.commands.ran if words[1] in verbs]
    assert ran == [
        ("stop", "metahub.service"),
        ("reload", "metahub-firewall.service"),
        ("start", "metahub.service"),
    ]
    assert "metahub.service" in node.commands.active


def test_an_upgrade_switches_and_then_removes(node: FakeNode, checkout: Path) -> None:
    before = node.tree()
    install(node)
    old = os.readlink(node.root / "opt/metahub/current")
    (checkout / "metahub_addon/new.py").write_text("")
    node.commands.ran.clear()
    said = install(node)
    new = os.readlink(node.root / "opt/metahub/current")
    assert new != old
    restart = said.index("restart metahub.service: connections are drained first")
    assert said.index(f"undo /opt/metahub/{old}") > restart
    assert not node.exists(f"/opt/metahub/{old}")
    assert new in node.read(f"/opt/metahub/{new}/bin/metahub-proxy")
    assert not any(ran[0] in ("useradd", "update-ca-certificates") for ran in node.commands.ran)
    uninstall(node)
    assert node.tree() == before


def test_a_failed_upgrade_leaves_the_old_version(
    node: FakeNode, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(node)
    before = node.tree()
    (checkout / "setup.cfg").write_text("another")
    node.commands.broken["systemctl restart metahub.service"] = Done(1, "", "timed out")
    node.commands.broken["journalctl"] = Done(0, "one\ntwo\n")
    assert run(node, "install")[0] == 2
    said = capsys.readouterr().err
    assert said == (
        "scripts/install: systemctl restart metahub.service: timed out / one / two; "
        "all is as it was\n"
    )
    after = node.tree()
    for tree in (before, after):
        for name in [name for name in tree if name.startswith("var/lib/metahub")]:
            del tree[name]
    assert after == before
    del node.commands.broken["systemctl restart metahub.service"]
    assert "undo" in " ".join(install(node))


def test_a_proxy_that_ends_at_once_is_a_failure(
    node: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    before = node.tree()
    node.commands.broken["systemctl is-active metahub.service"] = Done(3, "activating\n")
    assert run(node, "install")[0] == 2
    assert "is-active metahub.service: activating; all is as it" in capsys.readouterr().err
    assert node.tree() == before


# --- failures at every step ---------------------------------------------------------------


class Killed(BaseException):
    """kill -9: nothing of the installer runs any more."""


class _Breaking:
    """An item whose making breaks off in the middle, or right behind it."""

    def __init__(self, item: Item, error: BaseException) -> None:
        self._item, self._error = item, error

    def __getattr__(self, name: str) -> object:
        return getattr(self._item, name)

    def __str__(self) -> str:
        return str(self._item)

    def apply(self, node: Node) -> None:
        self._item.apply(node)
        raise self._error


def _broken_at(
    monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException, after: bool
) -> Callable[[], int]:
    """Break the step with a number, before it or once it has done its work; how many there were."""
    real = carry_out.Run._do
    count = iter(range(10_000))
    seen: list[int] = []

    def do(self: carry_out.Run, step: Step) -> None:
        number = next(count)
        seen.append(number)
        if number != at:
            real(self, step)
        elif not after:
            raise error
        elif isinstance(step, Put):
            real(self, replace(step, item=_Breaking(step.item, error)))  # type: ignore[arg-type]
        else:
            real(self, step)
            raise error

    monkeypatch.setattr(carry_out.Run, "_do", do)
    return lambda: len(seen)


def steps_of(fake: FakeNode, *options: str) -> int:
    """How many steps an installation would take."""
    return sum(line.startswith("would ") for line in install(fake, "--dry-run", *options))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_failure_anywhere_takes_everything_back(
    full: FakeNode, mode: str, after: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    before, active = full.tree(), set(full.commands.active)
    for at in range(steps_of(full, "-m", mode)):
        with pytest.MonkeyPatch.context() as patch:
            _broken_at(patch, at, Problem("injected"), after)
            assert run(full, "install", "-m", mode)[0] == 2
        assert capsys.readouterr().err == "scripts/install: injected; all is as it was\n"
        assert full.tree() == before, f"step {at}"
        assert full.commands.active == active
        assert not full.commands.table


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_anywhere_it_can_be_uninstalled(full: FakeNode, mode: str, after: bool) -> None:
    before, active = full.tree(), set(full.commands.active)
    for at in range(steps_of(full, "-m", mode)):
        with pytest.MonkeyPatch.context() as patch:
            _broken_at(patch, at, Killed(), after)
            with pytest.raises(Killed):
                run(full, "install", "-m", mode)
        has_begun = full.exists("/var/lib/metahub")
        assert run(full, "uninstall")[0] == (0 if has_begun else 1), f"step {at}"
        assert full.tree() == before, f"step {at}"
        assert full.commands.active == active


@pytest.mark.parametrize("mode", MODES)
def test_killed_anywhere_the_next_installation_ends_it(full: FakeNode, mode: str) -> None:
    before, active = full.tree(), set(full.commands.active)
    steps = steps_of(full, "-m", mode)
    for at in range(0, steps, 3):
        with pytest.MonkeyPatch.context() as patch:
            _broken_at(patch, at, Killed(), after=True)
            with pytest.raises(Killed):
                run(full, "install", "-m", mode)
        install(full, "-m", mode)
        assert {"metahub.service", *active} <= full.commands.active
        uninstall(full)
        assert full.tree() == before, f"step {at}"
        full.commands.active |= active


@pytest.mark.parametrize("path", ["transparent-mirror", "proxy-transparent", "mirror-proxy"])
def test_killed_on_the_way_to_another_mode(full: FakeNode, path: str) -> None:
    first, second = path.split("-")
    before, active = full.tree(), set(full.commands.active)
    install(full, "-m", first)
    steps = steps_of(full, "-m", second)
    for at in range(steps):
        with pytest.MonkeyPatch.context() as patch:
            _broken_at(patch, at, Killed(), after=True)
            with pytest.raises(Killed):
                run(full, "install", "-m", second)
        uninstall(full)
        assert full.tree() == before, f"step {at}"
        full.commands.active |= active
        install(full, "-m", first)


@pytest.mark.parametrize("path", ["transparent-mirror", "proxy-transparent", "mirror-proxy"])
def test_a_failure_on_the_way_to_another_mode(
    full: FakeNode, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = path.split("-")
    install(full, "-m", first)
    before = _without_state(full)
    for at in range(steps_of(full, "-m", second)):
        with pytest.MonkeyPatch.context() as patch:
            _broken_at(patch, at, Problem("injected"), after=False)
            assert run(full, "install", "-m", second)[0] == 2
        said = capsys.readouterr().err
        if "metahub is installed, but: injected" in said:
            assert "run this again" in said
            install(full, "-m", first)
        else:
            assert "all is as it was" in said
        assert _without_state(full) == before, f"step {at}"


def _without_state(fake: FakeNode) -> dict[str, tuple[object, ...]]:
    """The tree without the journal, and without the times of what was written again."""
    return {
        name: shown[:3]
        for name, shown in fake.tree().items()
        if not name.startswith("var/lib/metahub")
    }


def test_uninstall_can_be_killed_anywhere(full: FakeNode) -> None:
    before, active = full.tree(), set(full.commands.active)
    install(full, "-m", "mirror")
    entries = len(load_journal(full.node).entries)
    for at in range(entries):
        count = iter(range(10_000))
        real = load_journal(full.node).__class__.drop
        with pytest.MonkeyPatch.context() as patch:

            def drop(
                self: object,
                entry: object,
                count: Iterator[int] = count,
                at: int = at,
                real: Callable[..., None] = real,
            ) -> None:
                if next(count) == at:
                    raise Killed
                real(self, entry)

            patch.setattr("installer.journal.Journal.drop", drop)
            with pytest.raises(Killed):
                run(full, "uninstall")
        uninstall(full)
        assert full.tree() == before, f"entry {at}"
        full.commands.active |= active
        install(full, "-m", "mirror")


def test_an_uninstallation_that_was_killed_at_its_very_end(node: FakeNode) -> None:
    before = node.tree()
    install(node)

    def killed(path: Path) -> None:
        if path.parent == node.root / "var/lib/metahub":
            raise Killed
        remove(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("installer.journal.remove", killed)
        with pytest.raises(Killed):
            run(node, "uninstall")
    (node.root / "var/lib/metahub/journal.json").unlink()
    uninstall(node)
    assert node.tree() == before


def test_runtimes_forget_a_proxy_that_did_not_come_about(full: FakeNode) -> None:
    full.commands.broken["systemctl restart docker.service"] = Done(1, "", "no")
    assert run(full, "install", "-m", "proxy")[0] == 2
    restarts = [at for at, ran in enumerate(full.commands.ran) if ran[1:] == RESTART]
    reload = max(at for at, ran in enumerate(full.commands.ran) if ran[1:] == ("daemon-reload",))
    assert len(restarts) == 2
    assert restarts[0] < reload < restarts[1]


def test_interrupted_it_takes_everything_back(
    full: FakeNode, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = full.tree()
    _broken_at(monkeypatch, 6, KeyboardInterrupt(), after=True)
    assert run(full, "install")[0] == 2
    assert capsys.readouterr().err == "scripts/install: interrupted; all is as it was\n"
    assert full.tree() == before


def test_what_can_not_be_taken_back_is_said_and_can_be_undone_later(
    full: FakeNode, capsys: pytest.CaptureFixture[str]
) -> None:
    before = full.tree()
    broken = {"restart metahub.service": Done(1, "", "no"), "userdel": Done(8, "", "busy")}
    full.commands.broken |= broken
    assert run(full, "install")[0] == 2
    said = capsys.readouterr().err
    assert "taking it back failed: userdel metahub: busy; run uninstall" in said
    del full.commands.broken["userdel"]
    uninstall(full)
    assert full.tree() == before


def test_a_broken_containerd_does_not_matter_to_others(full: FakeNode) -> None:
    full.write("/etc/containerd/config.toml", "= broken")
    install(full)
    uninstall(full)
    assert full.read("/etc/containerd/config.toml") == "= broken"


# --- what users do meanwhile --------------------------------------------------------------


def test_a_file_that_a_user_has_edited_is_kept(node: FakeNode) -> None:
    install(node)
    node.write(CONFIG, "mine")
    said = uninstall(node)
    assert node.read(f"{CONFIG}.metahub-saved") == "mine"
    assert not node.exists(CONFIG)
    assert f"{CONFIG}: you have changed it since: kept as {CONFIG}.metahub-saved" in said


def test_an_edited_file_stays_in_force_until_there_is_news(node: FakeNode) -> None:
    install(node)
    node.write(CONFIG, "mine")
    assert f"note: {CONFIG}: yours, left as it is" in install(node)
    assert node.read(CONFIG) == "mine"
    said = install(node, "--registry", "reg.test")
    assert f"write {CONFIG} (your version is kept beside it)" in said
    assert "reg.test" in node.read(CONFIG)
    assert node.read(f"{CONFIG}.metahub-saved") == "mine"
    node.write(CONFIG, "mine again")
    install(node, "--registry", "other.test")
    assert node.read(f"{CONFIG}.metahub-saved.2") == "mine again"


def test_an_edited_profile_outlives_installations(node: FakeNode, tmp_path: Path) -> None:
    install(node)
    node.write(PROFILE, "machine_type: mine\n")
    install(node, "--mode", "mirror")
    assert node.read(PROFILE) == "machine_type: mine\n"
    given = tmp_path / "given.yaml"
    given.write_text("machine_type: given\n")
    install(node, "--profile", str(given))
    assert node.read(PROFILE) == "machine_type: given\n"
    assert node.read(f"{PROFILE}.metahub-saved") == "machine_type: mine\n"
    install(node)
    assert node.read(PROFILE) == "machine_type: given\n"


def test_edits_of_daemon_json_stay_in_force(full: FakeNode) -> None:
    install(full, "-m", "mirror")
    path = "/etc/docker/daemon.json"
    document = json.loads(full.read(path)) | {"live-restore": True}
    full.write(path, json.dumps(document))
    said = uninstall(full)
    assert json.loads(full.read(path)) == {"debug": True, "live-restore": True}
    assert f"{path}: you have changed it since: only metahub's part is taken out" in said


def test_edits_of_containerd_configuration_stay_in_force(full: FakeNode) -> None:
    path = "/etc/containerd/config.toml"
    install(full, "-m", "mirror")
    full.write(path, full.read(path) + "# more\n")
    full.commands.active |= {"metahub.service"}
    assert "/etc/containerd/config.toml" not in "".join(install(full, "-m", "mirror"))
    uninstall(full)
    assert full.read(path) == "version = 2\n# more\n"


def test_users_that_were_added_meanwhile_stay(node: FakeNode) -> None:
    install(node)
    node.commands._append("passwd", "alice:x:1000:1000")
    uninstall(node)
    assert node.read("/etc/passwd") == "root:x:0:0\nalice:x:1000:1000\n"
    assert "metahub" not in node.read("/etc/group")


def test_an_account_of_that_name_is_used_and_stays(node: FakeNode) -> None:
    node.commands._append("passwd", "metahub:x:7:7::/nonexistent:/usr/sbin/nologin")
    node.commands._append("group", "metahub:x:7:")
    before = node.tree()
    install(node)
    assert not node.commands.did("useradd")
    uninstall(node)
    assert node.tree() == before


def test_authorities_that_were_added_meanwhile_stay(node: FakeNode) -> None:
    other = pem(b"another authority")
    install(node)
    node.write("/usr/local/share/ca-certificates/other.crt", other)
    node.commands._update_ca_certificates()
    uninstall(node)
    assert trusts(node, other)
    assert trusts(node, PUBLIC_CA)
    assert not trusts(node, OWN_CA)


def test_authorities_in_the_bundle_alone_are_not_lost(node: FakeNode) -> None:
    strange = pem(b"put into the bundle by hand")
    node.write("/etc/ssl/certs/ca-certificates.crt", PUBLIC_CA + strange)
    before = node.tree()
    install(node)
    assert trusts(node, strange)
    assert trusts(node, OWN_CA)
    uninstall(node)
    assert node.tree() == before


def test_what_users_put_into_our_folders_stays(node: FakeNode) -> None:
    install(node)
    node.write("/etc/metahub/notes", "mine")
    uninstall(node)
    assert node.read("/etc/metahub/notes") == "mine"
    assert [path.name for path in (node.root / "etc/metahub").iterdir()] == ["notes"]


def test_links_of_users_come_back(node: FakeNode) -> None:
    (node.root / "etc/containers/registries.conf.d").mkdir(parents=True)
    link = node.root / "etc/containers/registries.conf.d/metahub.conf"
    link.symlink_to("elsewhere.conf")
    before = node.tree()
    install(node, "-m", "mirror")
    assert link.is_file()
    uninstall(node)
    assert node.tree() == before


# --- runtimes -----------------------------------------------------------------------------


def test_running_runtimes_are_restarted_before_the_proxy_starts(full: FakeNode) -> None:
    said = install(full)
    order = ["restart containerd.service", "restart docker.service", "restart metahub.service"]
    places = [next(at for at, line in enumerate(said) if line.startswith(o)) for o in order]
    assert places == sorted(places)


def test_runtimes_that_do_not_run_are_not_started(node: FakeNode) -> None:
    install(node)
    for verb in ("start", "restart", "reload"):
        assert not node.commands.did("systemctl", verb, "docker.service")
        assert not node.commands.did("systemctl", verb, "containerd.service")


def test_runtimes_of_users_are_named(full: FakeNode) -> None:
    assert not any("rootlesskit" in line for line in install(full, "--dry-run"))
    full.write("/proc/77/comm", "rootlesskit\n")
    assert any("rootlesskit" in line for line in install(full))
    assert not any("rootlesskit" in line for line in install(full, "--mode", "mirror"))


@pytest.mark.parametrize("live_restore", [False, True])
def test_containers_are_not_ended(full: FakeNode, live_restore: bool) -> None:
    full.commands.containers, full.commands.live_restore = 2, live_restore
    said = install(full)
    assert full.commands.did("systemctl", "restart", "docker.service") is live_restore
    assert ("registry-1.docker.io" in full.read(CONFIG)) is live_restore
    assert any("systemctl restart docker" in line for line in said) is not live_restore
    assert full.commands.did("systemctl", "restart", "containerd.service")


def test_a_docker_that_is_silent_is_not_restarted(full: FakeNode) -> None:
    full.commands.broken["docker info"] = Done(1, "")
    install(full)
    assert not full.commands.did("systemctl", "restart", "docker.service")


def test_uninstall_says_that_docker_still_has_the_proxy(full: FakeNode) -> None:
    install(full, "-m", "proxy")
    journal = load_journal(full.node)
    journal.notes = {}  # it was restarted
    journal.save()
    full.commands.containers = 2
    full.commands.ran.clear()
    said = uninstall(full)
    assert any("its pulls fail until" in line for line in said)
    assert not full.commands.did("systemctl", "restart", "docker.service")
    assert full.commands.did("systemctl", "restart", "containerd.service")


def test_dockerd_forgets_the_mirror_by_an_empty_list(full: FakeNode) -> None:
    install(full, "-m", "mirror")
    seen: list[object] = []
    real = full.commands._systemctl

    def systemctl(verb: str, *rest: str) -> Done:
        if (verb, *rest) == ("reload", "docker.service"):
            seen.append(json.loads(full.read("/etc/docker/daemon.json")))
        return real(verb, *rest)

    full.commands._systemctl = systemctl  # type: ignore[method-assign]
    uninstall(full)
    assert seen == [{"debug": True, "registry-mirrors": []}]


def _started(fake: FakeNode, seconds_ago: float) -> None:
    """dockerd's process, in a machine that is up for 1000 s."""
    ticks = int((1000 - seconds_ago) * os.sysconf("SC_CLK_TCK"))
    fake.commands.docker_pid = "4242"
    fake.write("/proc/uptime", "1000.00 1.00\n")
    fake.write("/proc/4242/stat", f"4242 (dock) erd) S {'0 ' * 18}{ticks} 0\n")


def test_a_docker_that_was_restarted_meanwhile_is_served_in_full(full: FakeNode) -> None:
    full.commands.containers = 2
    full.commands.active.remove("containerd.service")
    _started(full, 500)
    install(full)
    assert "registry-1.docker.io" not in full.read(CONFIG)
    said = install(full)
    assert any("is not restarted" in line for line in said)
    assert "nothing to change" in said
    _started(full, -5)
    said = install(full)
    assert "registry-1.docker.io" in full.read(CONFIG)
    assert not any("restarted" in line for line in said)
    assert not full.commands.did("systemctl", "restart", "docker.service")


def test_a_docker_that_never_took_up_the_proxy_has_none_to_forget(full: FakeNode) -> None:
    full.commands.containers = 2
    _started(full, 500)
    install(full, "-m", "proxy")
    assert not any("its pulls fail" in line for line in uninstall(full))


# --- wrong use ----------------------------------------------------------------------------


def _profile(fake: FakeNode, content: bytes) -> str:
    path = fake.root.parent / "given.yaml"
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runtime", "rkt"], "argument --runtime/-r: invalid choice: 'rkt'"),
        (["--mode", "magic"], "argument --mode/-m: invalid choice: 'magic'"),
        (["--registry"], "argument --registry: expected one argument"),
        (["--registry", "https://reg.test"], "--registry 'https://reg.test': "),
        (["--registry", "reg.test:99999"], "--registry 'reg.test:99999': '99999' is not a port"),
        (["--registry", "reg.test:17443"], "--registry: layers ports"),
        (["--what"], "unrecognized arguments: --what"),
        (["--profile", "/nonexistent.yaml"], "--profile /nonexistent.yaml: No such file"),
        (["--profile", "/"], "--profile /: Is a directory"),
    ],
)
def test_wrong_options(
    full: FakeNode, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _refused(full, options, message, capsys)


def _refused(
    fake: FakeNode, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = fake.tree()
    assert run(fake, "install", *options)[0] == 2
    said = capsys.readouterr().err
    assert said.startswith("scripts/install: ")
    assert said.count("\n") == 1
    assert message in said
    assert fake.tree() == before
    assert not fake.commands.did("systemctl", "restart", "metahub.service")


def test_broken_profiles(full: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    path = _profile(full, b"\xff")
    _refused(full, ["--profile", path], f"--profile {path}: is not UTF-8", capsys)
    path = _profile(full, b"broken")
    message = f"--profile {path}: line 1: broken: unknown key"
    _refused(full, ["--profile", path], message, capsys)


def _without(*programs: str) -> Callable[[FakeNode], None]:
    def change(fake: FakeNode) -> None:
        for program in programs:
            (fake.root / "usr/sbin" / program).unlink()

    return change


def _no_systemd(fake: FakeNode) -> None:
    (fake.root / "run/systemd/system").rmdir()


def _no_root(fake: FakeNode) -> None:
    fake.commands.superuser = False


def _foreign_folder(fake: FakeNode) -> None:
    fake.write("/opt/metahub/mine", "")


def _foreign_user(fake: FakeNode) -> None:
    fake.commands._append("passwd", "metahub:x:1001:1001::/home/metahub:/bin/bash")


def _foreign_group(fake: FakeNode) -> None:
    fake.commands._append("group", "metahub:x:7:alice,bob")


def _foreign_table(fake: FakeNode) -> None:
    fake.commands.table = True


def _no_ensurepip(fake: FakeNode) -> None:
    fake.commands.broken["import ensurepip"] = Done(1, "")


def _bound_docker(fake: FakeNode) -> None:
    fake.commands.requires = "docker.socket containerd.service"
    fake.commands.containers = 1


def _refusing_kernel(fake: FakeNode) -> None:
    fake.commands.broken["nft --check"] = Done(1, "", "Error: no kernel\nmore\n")


def _socket(protocol: str, port: int, state: str) -> Callable[[FakeNode], object]:
    line = f"   0: 0100007F:{port:04X} 00000000:0000 {state} 00000000:00000000\n"
    return lambda fake: fake.write(f"/proc/net/{protocol}", f"header\n{line}")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_no_root, "must be run as root"),
        (_no_systemd, "systemd does not run here"),
        (_without("systemctl"), "systemctl: not found"),
        (_without("nft"), "nft: not found (package nftables; --mode mirror does without it)"),
        (_without("update-ca-certificates"), "update-ca-certificates: not found (package ca-cert"),
        (_without("useradd"), "useradd: not found"),
        (_without("dockerd", "containerd", "podman"), "nothing pulls images here"),
        (lambda fake: fake.commands.active.add("k3s.service"), "k3s.service: pulls images, too"),
        (_foreign_folder, "/opt/metahub: exists, and was not made by this"),
        (_foreign_user, "/etc/passwd: metahub: is a user that logs in"),
        (_foreign_group, "/etc/group: metahub: has members (alice,bob)"),
        (_foreign_table, "has a table `inet metahub`"),
        (_no_ensurepip, "can't make virtual environments (apt-get install python3-venv)"),
        (_bound_docker, "docker.service ends with it"),
        (_refusing_kernel, "nft refuses metahub's table: Error: no kernel"),
        (_socket("tcp", 18082, "0A"), "TCP port 18082: another program listens on it"),
        (_socket("tcp6", 17443, "0A"), "TCP port 17443: another program listens on it"),
        (_socket("udp", 18083, "07"), "UDP port 18083: another program uses it"),
        (lambda fake: fake.write("/etc/os-release", "ID=alpine\n"), "/etc/os-release: alpine"),
        (
            lambda fake: fake.write("/etc/docker/daemon.json", "{"),
            "/etc/docker/daemon.json: is not JSON",
        ),
        (
            lambda fake: fake.write("/etc/docker/daemon.json", "[]"),
            "/etc/docker/daemon.json: is not a JSON object",
        ),
    ],
)
def test_nodes_that_can_not_be_served(
    full: FakeNode,
    change: Callable[[FakeNode], object],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(full)
    _refused(full, [], message, capsys)


def test_established_connections_take_no_port(full: FakeNode) -> None:
    _socket("tcp", 18082, "01")(full)
    install(full)


@pytest.mark.parametrize("folder", ["/home/x/bin/python3", "/root/.pyenv/python3"])
def test_a_python_out_of_reach(
    full: FakeNode, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    node = Node(full.root, full.commands, folder)
    before = full.tree()
    assert main(["install"], node) == 2
    assert f"{folder}: the service can't reach" in capsys.readouterr().err
    assert full.tree() == before


def test_nothing_to_uninstall(node: FakeNode) -> None:
    before = node.tree()
    assert run(node, "uninstall") == (1, ["metahub is not installed on this node"])
    assert node.tree() == before


def test_a_damaged_journal_is_named(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    install(node)
    node.write("/var/lib/metahub/journal.json", "{", 0o600)
    assert run(node, "uninstall")[0] == 2
    assert "journal.json: is damaged" in capsys.readouterr().err
    node.write("/var/lib/metahub/journal.json", '{"version": 99}', 0o600)
    assert run(node, "uninstall")[0] == 2
    assert "another version of metahub" in capsys.readouterr().err


def test_one_run_at_a_time(node: FakeNode, capsys: pytest.CaptureFixture[str]) -> None:
    with load_journal(node.node).lock():
        assert run(node, "install")[0] == 2
    assert "another install or uninstall is at work" in capsys.readouterr().err
    install(node)


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_help_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"sudo scripts/{command}" in capsys.readouterr().out


def test_secrets_are_kept_secret(full: FakeNode) -> None:
    install(full)
    state = full.root / "var/lib/metahub"
    assert state.stat().st_mode & 0o777 == 0o700
    for path in state.rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path
