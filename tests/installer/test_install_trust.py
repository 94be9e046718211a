"""The folders of the store of trust are others' too: what they do there stays, always."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from fake_node import LAYOUTS, OWN_CA, PUBLIC_CA, FakeNode, make_node, trusts

from installer.carry_out import Run
from installer.cli import main
from installer.node import Done, Node
from installer.steps import Step
from installer.trust_bundle import pem

DISTROS = ("debian", "rocky", "sles")
OTHER_CA = pem(b"another authority")
STRANGE_CA = pem(b"put into the bundle by hand")


def run(fake: FakeNode, command: str) -> int:
    return main([command], Node(fake.root, fake.commands, "/usr/bin/python3"), lambda line: None)


def folder_of(fake: FakeNode) -> str:
    """A folder of the store in which other things lie, too."""
    return str(Path("/", LAYOUTS[fake.commands.distro][1]).parent)


def bundle_of(fake: FakeNode) -> str:
    return "/" + LAYOUTS[fake.commands.distro][1]


def no_link_leads_nowhere(fake: FakeNode) -> bool:
    folder = fake.root / folder_of(fake).lstrip("/")
    links = [path for path in folder.iterdir() if path.is_symlink()]
    targets = [(link, os.readlink(link)) for link in links]
    return all(
        os.path.lexists(fake.root / to.lstrip("/") if to.startswith("/") else link.parent / to)
        for link, to in targets
    )


class Others:
    """What others have in the store's folder, and what they do there."""

    def __init__(self, fake: FakeNode) -> None:
        self.fake, self.folder = fake, folder_of(fake)
        for name in ("mail.pem", "web.pem", "gone.pem"):
            fake.write(f"{self.folder}/{name}", "old", 0o640)
        (fake.root / self.folder.lstrip("/") / "old-link").symlink_to("web.pem")

    def act(self) -> None:
        self.fake.write(f"{self.folder}/mail.pem", "renewed", 0o600)
        self.fake.write(f"{self.folder}/snakeoil.pem", "of a package")
        self.fake.write(f"{self.folder}/java/cacerts", "of a package")
        folder = self.fake.root / self.folder.lstrip("/")
        (folder / "gone.pem").unlink()
        (folder / "web.pem").chmod(0o600)
        (folder / "new-link").symlink_to("snakeoil.pem")
        (folder / "old-link").unlink()
        (folder / "old-link").symlink_to("mail.pem")

    def seen(self) -> dict[str, tuple[object, ...]]:
        """All that is not the store's own."""
        prefix, bundle = self.folder.lstrip("/"), bundle_of(self.fake).lstrip("/")
        tree = self.fake.tree().items()
        made = ("/metahub-node-ca.pem", "/other.pem", ".0")
        own = (bundle, *(name for name, _ in tree if name.endswith(made)))
        return {name: it for name, it in tree if name.startswith(prefix) and name not in own}


@pytest.fixture(params=DISTROS)
def others(tmp_path: Path, request: pytest.FixtureRequest) -> Others:
    return Others(make_node(tmp_path / "root", request.param))


def test_what_others_did_since_outlives_an_uninstallation(others: Others) -> None:
    fake, bundle = others.fake, others.fake.tree()[bundle_of(others.fake).lstrip("/")]
    assert run(fake, "install") == 0
    others.act()
    seen = others.seen()
    assert run(fake, "uninstall") == 0
    assert others.seen() == seen
    # What nobody else has touched is as it was, to the byte.
    assert fake.tree()[bundle_of(fake).lstrip("/")] == bundle


def test_a_store_that_others_built_anew_is_left_to_its_command(others: Others) -> None:
    fake = others.fake
    assert run(fake, "install") == 0
    anchors = LAYOUTS[fake.commands.distro][0]
    fake.write(f"/{anchors}/other.pem", OTHER_CA)
    fake.commands._update_ca_certificates()
    fake.write(bundle_of(fake), fake.read(bundle_of(fake)) + STRANGE_CA)
    others.act()
    seen = others.seen()
    assert run(fake, "uninstall") == 0
    assert others.seen() == seen
    assert all(trusts(fake, authority) for authority in (OTHER_CA, STRANGE_CA, PUBLIC_CA))
    assert not trusts(fake, OWN_CA)
    assert not list((fake.root / anchors).glob("metahub*"))
    assert no_link_leads_nowhere(fake)


def test_what_others_did_between_two_installations_stays(others: Others) -> None:
    fake = others.fake
    assert run(fake, "install") == 0
    # Someone has taken our CA out of the bundle: the next installation puts it back.
    fake.write(bundle_of(fake), PUBLIC_CA + OTHER_CA)
    others.act()
    seen = others.seen()
    assert run(fake, "install") == 0
    assert trusts(fake, OWN_CA)
    assert others.seen() == seen
    assert run(fake, "uninstall") == 0
    assert others.seen() == seen
    assert trusts(fake, OTHER_CA)
    assert not trusts(fake, OWN_CA)


def test_what_others_do_during_an_installation_outlives_its_failure(
    others: Others, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = others.fake
    seen = {}
    real = Run._do

    def do(self: Run, step: Step) -> None:
        if str(step).startswith("write /etc/systemd/system/metahub.service"):
            others.act()
            seen.update(others.seen())
        real(self, step)

    monkeypatch.setattr(Run, "_do", do)
    fake.commands.broken["start metahub.service"] = Done(1, "", "no")
    assert run(fake, "install") == 2
    assert seen
    assert others.seen() == seen
    assert not trusts(fake, OWN_CA)
    assert not fake.exists("/var/lib/metahub")


class Killed(BaseException):
    """kill -9."""


def _killed_in_the_store(fake: FakeNode, what: Callable[[], object]) -> None:
    """Install, killed when the store's command has run but nobody has recorded it."""
    real = fake.commands.run

    def run_and_die(command: Sequence[str], environment: Mapping[str, str]) -> Done:
        done = real(command, environment)
        if command[0].startswith("update-ca-"):
            what()
            raise Killed
        return done

    fake.commands.run = run_and_die  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(fake, "install")
    fake.commands.run = real  # type: ignore[method-assign]


@pytest.mark.parametrize("acts", [False, True], ids=["alone", "with others"])
def test_killed_amid_only_the_anchor_and_the_command_are_used(others: Others, acts: bool) -> None:
    fake = others.fake
    fake.write(bundle_of(fake), PUBLIC_CA + STRANGE_CA)
    before = fake.tree()
    _killed_in_the_store(fake, others.act if acts else lambda: None)
    seen = others.seen()
    fake.commands.ran.clear()
    assert run(fake, "uninstall") == 0
    assert any("update-ca-" in ran[0] for ran in fake.commands.ran)
    assert others.seen() == seen
    assert trusts(fake, STRANGE_CA)
    assert not trusts(fake, OWN_CA)
    assert no_link_leads_nowhere(fake)
    assert acts or fake.tree() == before


def test_killed_between_the_links_by_hash(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    node.write("/usr/local/share/ca-certificates/other.pem", OTHER_CA)
    node.commands._update_ca_certificates()
    before = node.tree()
    assert [name for name in before if name.endswith(".0")]

    def killed(folder: Path) -> None:
        for link in folder.glob("*.0"):
            link.unlink()
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(node.commands, "_rehash", killed)
        with pytest.raises(Killed):
            run(node, "install")
    assert run(node, "uninstall") == 0
    assert node.tree() == before


def test_killed_amid_and_installed_again(others: Others) -> None:
    fake = others.fake
    _killed_in_the_store(fake, others.act)
    seen = others.seen()
    assert run(fake, "install") == 0
    assert run(fake, "uninstall") == 0
    assert others.seen() == seen
    assert not trusts(fake, OWN_CA)


def test_a_folder_that_the_command_made_goes_only_when_it_is_empty(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = node.root / "etc/ssl/certs/made"
    real = node.commands._update_ca_certificates

    def update(*words: str) -> None:
        real()
        made.mkdir(exist_ok=True)
        (made / "index").write_text("of the command")

    monkeypatch.setattr(node.commands, "_update_ca_certificates", update)
    before = node.tree()
    assert run(node, "install") == 0
    assert run(node, "uninstall") == 0
    assert node.tree() == before
    assert run(node, "install") == 0
    node.write("/etc/ssl/certs/made/mine", "mine")
    assert run(node, "uninstall") == 0
    assert [path.name for path in made.iterdir()] == ["mine"]


def test_what_the_command_writes_again_as_it_was_keeps_its_time(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = node.write("/etc/ssl/certs/index", "all of them")
    before = node.tree()
    real = node.commands._update_ca_certificates

    def update(*words: str) -> None:
        real()
        index.write_text("all of them")

    monkeypatch.setattr(node.commands, "_update_ca_certificates", update)
    _killed_in_the_store(node, lambda: None)
    assert run(node, "uninstall") == 0
    assert node.tree() == before


def test_a_link_that_the_command_removed_and_others_made_anew_stays(node: FakeNode) -> None:
    link = node.root / "etc/ssl/certs/orphan.pem"
    link.symlink_to("/usr/local/share/ca-certificates/gone.crt")
    before = node.tree()
    node.commands.broken["start metahub.service"] = Done(1, "", "no")
    assert run(node, "install") == 2
    assert node.tree() == before
    node.commands.broken.clear()
    assert run(node, "install") == 0
    assert not link.is_symlink()
    assert run(node, "uninstall") == 0
    assert node.tree() == before
    assert run(node, "install") == 0
    link.symlink_to("/usr/share/ca-certificates/public.crt")
    assert run(node, "uninstall") == 0
    assert link.readlink() == Path("/usr/share/ca-certificates/public.crt")
    assert not trusts(node, OWN_CA)


def test_a_folder_of_the_store_that_others_made_since_stays(tmp_path: Path) -> None:
    fake = make_node(tmp_path / "root", "sles")
    assert not fake.exists("/etc/ssl/certs")
    assert run(fake, "install") == 0
    fake.write("/etc/ssl/certs/mail.pem", "mine")
    assert run(fake, "uninstall") == 0
    assert fake.read("/etc/ssl/certs/mail.pem") == "mine"


def test_an_uninstallation_killed_behind_the_anchor_leaves_no_trust(node: FakeNode) -> None:
    assert run(node, "install") == 0
    node.write("/etc/ssl/certs/ca-certificates.crt", PUBLIC_CA + OWN_CA + OTHER_CA)
    real = node.commands._update_ca_certificates

    def killed(*words: str) -> None:
        raise Killed

    node.commands._update_ca_certificates = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        run(node, "uninstall")
    assert not node.exists("/usr/local/share/ca-certificates/metahub-node-ca.crt")
    node.commands._update_ca_certificates = real  # type: ignore[method-assign]
    assert run(node, "uninstall") == 0
    assert trusts(node, OTHER_CA)
    assert not trusts(node, OWN_CA)
