"""Checkpoint files and what may happen to them."""

import errno
import logging
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from rnc_lightning.runs.fitting.checkpoints import (
    BEFORE,
    BEST,
    LAST,
    AtomicCheckpoints,
    is_sound,
    read_checkpoint,
    resume_point,
)
from rnc_lightning.system.errors import UserError, explain_machine_failures


def _write(path: Path, epoch: int) -> None:
    AtomicCheckpoints().save_checkpoint({"epoch": epoch, "state_dict": {"weight": torch.full((1000,), epoch)}}, path)


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A stage's directory after epochs 1 and 2."""
    for epoch in (1, 2):
        _write(tmp_path / BEST, epoch)
        _write(tmp_path / LAST, epoch)
    return tmp_path


def _epoch(path: Path | None) -> int | None:
    return None if path is None else read_checkpoint(path)["epoch"]


def test_the_one_before_the_last_is_kept_and_of_the_best_only_the_best(stage: Path) -> None:
    assert sorted(file.name for file in stage.iterdir()) == sorted([LAST, BEFORE, BEST])
    assert [_epoch(stage / name) for name in (LAST, BEFORE, BEST)] == [2, 1, 2]
    assert _epoch(resume_point(stage, best=True)) == 2


@pytest.mark.parametrize("left", [0, 1, 100, 3000, -1])
def test_a_checkpoint_that_was_cut_short_is_told_and_the_one_before_is_used(
    left: int, stage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(stage / LAST, left if left >= 0 else (stage / LAST).stat().st_size + left)
    with caplog.at_level(logging.WARNING):
        assert _epoch(resume_point(stage, best=False)) == 1
    assert f"{stage / LAST}: damaged" in caplog.text
    assert not (stage / LAST).exists()


def test_one_flipped_bit_is_noticed(stage: Path) -> None:
    content = bytearray((stage / LAST).read_bytes())
    content[len(content) // 2] ^= 1
    (stage / LAST).write_bytes(content)
    assert not is_sound(stage / LAST)
    assert _epoch(resume_point(stage, best=False)) == 1


def test_without_a_sound_best_one_training_starts_from_the_beginning(
    stage: Path, caplog: pytest.LogCaptureFixture
) -> None:
    os.truncate(stage / BEST, 10)
    with caplog.at_level(logging.WARNING):
        assert resume_point(stage, best=True) is None
    assert "from the beginning" in caplog.text
    assert not list(stage.iterdir())


def test_a_stop_between_two_renames_leaves_the_one_before(stage: Path) -> None:
    (stage / LAST).unlink()
    (stage / ".last.123.ckpt").write_bytes(b"half")
    assert resume_point(stage, best=False) == stage / BEFORE
    assert not (stage / ".last.123.ckpt").exists()


def test_a_stage_that_was_never_begun_has_no_resume_point(tmp_path: Path) -> None:
    assert resume_point(tmp_path / "none", best=True) is None
    assert resume_point(tmp_path, best=True) is None


def test_a_write_that_fails_leaves_the_old_checkpoint_and_names_the_file(
    stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    before = (stage / LAST).read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    told = rf"^{stage / LAST}: the disk is full: free some space\. .* the same command"
    with pytest.raises(UserError, match=told), explain_machine_failures():
        _write(stage / LAST, 3)
    assert (stage / LAST).read_bytes() == before
    assert sorted(file.name for file in stage.iterdir()) == sorted([LAST, BEFORE, BEST])


class _Program:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_that_is_a_program_is_refused_and_not_executed(zipped: bool, tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / LAST
    torch.save({"state_dict": _Program(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match=r"last\.ckpt contains more than tensors and plain values"):
        read_checkpoint(path)
    with pytest.raises(UserError, match=r"nothing in it was executed"):
        AtomicCheckpoints().load_checkpoint(path, weights_only=False)
    assert not mark.exists()
    torch.load(path, weights_only=False)  # it would have been, otherwise
    assert mark.exists()


def test_parts_that_are_larger_than_the_file_are_no_checkpoint(stage: Path) -> None:
    with zipfile.ZipFile(stage / LAST) as good, zipfile.ZipFile(stage / "packed", "w", zipfile.ZIP_DEFLATED) as packed:
        for part in good.infolist():
            packed.writestr(part.filename, good.read(part) + bytes(1_000_000))
    assert not is_sound(stage / "packed")
