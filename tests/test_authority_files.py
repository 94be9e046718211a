import os
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest

from metahub_addon.authority_files import AuthorityFiles
from metahub_addon.client_certificates import ShownCertificate, read_authorities
from support.certificates import make_authority


class Folder:
    """Two authorities' files, a certificate by the first, and a count of what is read."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("one", "two"):
            (path / name).mkdir()
        self.ours, certificate, _ = make_authority(path / "one", "127.0.0.1")
        self.others, _, _ = make_authority(path / "two", "127.0.0.1")
        self.shown = ShownCertificate.of([PEM_cert_to_DER_cert(certificate.read_text())])
        self.path = path / "nodes-ca.pem"
        self.files = AuthorityFiles()
        self.parsed = 0

        def counted(pem: bytes) -> object:
            self.parsed += 1
            return read_authorities(pem)

        monkeypatch.setattr("metahub_addon.authority_files.read_authorities", counted)

    def put(self, content: bytes) -> None:
        """Write the file as an editor does, so that it is another each time."""
        new = self.path.with_name("new")
        new.write_bytes(content)
        os.replace(new, self.path)

    def has_issued(self) -> bool:
        return self.files.has_issued(str(self.path), self.shown)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path, monkeypatch)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_a_file_is_read_when_it_has_changed(folder: Folder) -> None:
    folder.put(folder.ours.read_bytes())
    assert [folder.has_issued() for _ in range(3)] == [True] * 3
    assert folder.parsed == 1
    folder.put(folder.others.read_bytes())
    assert not folder.has_issued()
    folder.put(folder.others.read_bytes() + folder.ours.read_bytes())
    assert folder.has_issued()
    assert folder.parsed == 3


def test_one_that_is_not_there_is_told_once_and_taken_when_it_comes(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        assert not folder.has_issued()
    says = f"authority: {folder.path}: cannot be read: No such file or directory"
    assert warnings(caplog) == [says]
    folder.put(folder.ours.read_bytes())
    assert folder.has_issued()
    folder.path.unlink()
    assert not folder.has_issued()
    assert warnings(caplog) == [says, says]  # it had been good again


def test_one_that_is_broken_is_read_and_told_once(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    folder.put(b"nothing")
    for _ in range(3):
        assert not folder.has_issued()
    assert folder.parsed == 1
    assert warnings(caplog) == [f"authority: {folder.path}: holds no certificates (PEM)"]
    folder.put(folder.ours.read_bytes())
    assert folder.has_issued()


@pytest.mark.parametrize("kind", ["folder", "pipe", "large"])
def test_what_is_no_file_of_certificates(
    folder: Folder, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    if kind == "folder":
        folder.path.mkdir()
    elif kind == "pipe":
        os.mkfifo(folder.path)
    else:
        folder.put(folder.ours.read_bytes() + b"\n" * 1024 * 1024)
    assert not folder.has_issued()
    assert not folder.has_issued()
    assert folder.parsed == 0
    assert warnings(caplog) == [f"authority: {folder.path}: is no file of at most 1048576 bytes"]
