"""The identity of files is their bytes, and unchanged files cost no more than `stat`."""

import os
import pickle
from pathlib import Path

import pytest

from rnc_lightning.datasets.reading import content
from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.system.errors import UserError


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are read, each time."""
    names: list[str] = []
    sha256 = content.sha256
    monkeypatch.setattr(content, "sha256", lambda path: names.append(path.name) or sha256(path))
    monkeypatch.setattr(content, "_TICK", 0)  # files written a moment ago are remembered too
    return names


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_an_unchanged_file_is_read_once(tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    paths = [_write(tmp_path / "a", "1"), _write(tmp_path / "b", "1"), _write(tmp_path / "sub" / "c", "2")]
    first = FileContents(Path("memory")).digests([*paths, *paths])
    assert sorted(read) == ["a", "b", "c"]
    assert first[paths[0]] == first[paths[1]] != first[paths[2]]
    again = FileContents(Path("memory"))
    assert again.digests([Path("a"), Path("b"), Path("sub/c")]) == {
        path.relative_to(tmp_path): digest for path, digest in first.items()
    }
    assert len(read) == 3
    assert pickle.loads(pickle.dumps(again)).remembered(Path("a")) == first[paths[0]]


def _rewrite(path: Path) -> None:
    path.write_text("two")


def _replace(path: Path) -> None:
    other = _write(path.with_name("other"), "two")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)


def _rewrite_with_old_time(path: Path) -> None:
    before = path.stat()
    path.write_text("two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [_rewrite, _replace, _rewrite_with_old_time])
def test_a_change_at_the_same_size_is_noticed(tmp_path: Path, change, read: list[str]) -> None:  # type: ignore[no-untyped-def]
    path = _write(tmp_path / "file", "one")
    before = FileContents(tmp_path / "memory").digests([path])[path]
    change(path)
    assert FileContents(tmp_path / "memory").digests([path])[path] != before
    assert read == ["file", "file"]


def test_a_file_written_a_moment_ago_is_not_remembered_beyond_this_process(tmp_path: Path) -> None:
    path = _write(tmp_path / "file", "one")
    contents = FileContents(tmp_path / "memory")
    assert contents.digests([path])[path] == contents.remembered(path)
    assert FileContents(tmp_path / "memory").remembered(path) is None  # a second change might have the same time


@pytest.mark.parametrize("record", ["", "[1]", '{"files": {"file": [1, 2]}}', '{"files": 3}'])
def test_a_damaged_record_is_as_none(tmp_path: Path, record: str, read: list[str]) -> None:
    path = _write(tmp_path / "file", "one")
    FileContents(tmp_path / "memory").digests([path])
    (file,) = (tmp_path / "memory").iterdir()
    file.write_text(record)
    FileContents(tmp_path / "memory").digests([path])
    assert read == ["file", "file"]


def test_a_file_that_is_absent_or_grows_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"absent cannot be read \(No such file"):
        FileContents().digests([tmp_path / "absent"])
    path = _write(tmp_path / "file", "one")
    sha256 = content.sha256
    monkeypatch.setattr(content, "sha256", lambda path: sha256(_write(path, path.read_text() + ".")))
    with pytest.raises(UserError, match="changes while it is read"):
        FileContents().digest(path)
