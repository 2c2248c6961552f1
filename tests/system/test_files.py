"""Files are complete or not there, flushed to the disk, and never in the place of something else."""

import errno
import hashlib
import os
from pathlib import Path

import pytest

from rnc_lightning.system.errors import UserError, explain_machine_failures
from rnc_lightning.system.files import damaged_files, delete_temporary_files, write_atomically, write_text
from rnc_lightning.system.locks import lock_folder


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is flushed and renamed, in this order."""
    happened: list[str] = []
    replace = Path.replace

    def note(descriptor: int) -> None:
        happened.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def renamed(path: Path, target: Path) -> Path:
        happened.append("renamed")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Path, "replace", renamed)
    return happened


def test_file_and_folders_are_flushed(tmp_path: Path, flushed: list[str]) -> None:
    write_text(tmp_path / "new" / "deep" / "a.json", "{}")
    temporary = f".a.{os.getpid()}.json"
    assert flushed == ["new", tmp_path.name, temporary, "renamed", "deep"]
    flushed.clear()
    write_text(tmp_path / "b.json", "{}", durable=False)
    assert flushed == ["renamed"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError, match=r"a\.txt: the disk is full"), explain_machine_failures():
        write_atomically(path, fail)
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "old"


def test_a_device_or_a_folder_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(UserError, match=f"{name}: something that is not"), explain_machine_failures():
            write_text(tmp_path / name, "text")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "pipe"]


def test_what_was_left_unfinished_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    kept = [".lock", "a.json", ".hidden.json", "sub/.gitignore", "sub/a.12.json"]
    for name in [*kept, ".a.12.json", "sub/.curves_regress.4711.png", ".wandb_id.7.txt", ".noend.7"]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    delete_temporary_files(tmp_path)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted(kept)
    delete_temporary_files(tmp_path / "absent")


def test_damaged_files_are_told(tmp_path: Path) -> None:
    for name in ("same", "other"):
        (tmp_path / name).write_text(name)
    (tmp_path / "folder").mkdir()
    checksums = dict.fromkeys(["same", "other", "absent", "folder"], hashlib.sha256(b"same").hexdigest())
    assert damaged_files(tmp_path, checksums) == ["other", "absent", "folder"]


def test_a_lock_tells_whether_its_folder_is_still_there(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with lock_folder(folder) as is_locked:
        assert is_locked()
        folder.rename(tmp_path / "moved")
        assert not is_locked()
        folder.mkdir()
        (folder / ".lock").touch()
        assert not is_locked()
    assert (folder / ".lock").exists()  # another process'
