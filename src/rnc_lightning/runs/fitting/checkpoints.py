"""Checkpoints that survive what happens to files: each is whole or not there, and the one before it is kept."""

import io
import logging
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from rnc_lightning.numerics import distributed
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_atomically

log = logging.getLogger(__name__)

LAST, BEFORE, BEST = "last.ckpt", "last.before.ckpt", "best.ckpt"


class AtomicCheckpoints(CheckpointIO):
    """Writes a file beside the old one and then puts it in its place; loads without executing what is in a file.

    Of `last.ckpt` the one before is kept as `last.before.ckpt`, for the day that the last one is damaged.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: Where it cannot be written; the old one is then still there.
        """
        path = Path(path)
        content = io.BytesIO()
        torch.save(checkpoint, content)

        def write(temporary: Path) -> None:
            with temporary.open("wb") as file:
                file.write(content.getbuffer())
                file.flush()
                os.fsync(file.fileno())
            if path.name == LAST and path.is_file():
                path.replace(path.with_name(BEFORE))

        write_atomically(path, write)

    def load_checkpoint(self, path: Any, map_location: Any = "cpu", weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint; whatever `weights_only` says, nothing in it is executed."""
        return read_checkpoint(Path(path), map_location)

    def remove_checkpoint(self, path: Any) -> None:
        """Delete a checkpoint."""
        Path(path).unlink(missing_ok=True)


def read_checkpoint(path: Path, map_location: Any = "cpu") -> dict[str, Any]:
    """A checkpoint's tensors and plain values.

    Raises:
        UserError: Where the file holds anything else, which could be a program.
    """
    try:
        found: dict[str, Any] = torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} holds more than tensors and plain values, so it was not written here, and nothing of it was "
            f"executed. Delete it, and the same command trains again what it needs"
        ) from error
    return found


def is_sound(path: Path) -> bool:
    """Whether a checkpoint is there, complete, and as it was written (by its checksums, without loading it)."""
    try:
        with zipfile.ZipFile(path) as parts:
            return parts.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError):
        return False


def resume_point(directory: Path, best: bool) -> Path | None:
    """Where training goes on: the last sound checkpoint, or None for a start from the beginning.

    Damaged files are told of and deleted. Only the first of several processes looks; all get its answer.

    Args:
        directory: The stage's.
        best: Whether the best epoch's weights are kept too: without them going on would be of no use.
    """
    found = distributed.broadcast_from_first(_sound_point(directory, best) if distributed.is_first() else None)
    return None if found is None else directory / found


def _sound_point(directory: Path, best: bool) -> str | None:
    if not directory.is_dir():
        return None
    for leftover in directory.glob(".*.*.ckpt"):  # of a process that was killed while it wrote
        leftover.unlink()
    held = [directory / name for name in (LAST, BEFORE) if (directory / name).is_file()]
    bad = [path for path in held if not is_sound(path)]
    sound = [path for path in held if path not in bad]
    if sound and best and not is_sound(directory / BEST):
        bad, sound = [*held, directory / BEST], []
    for path in bad:
        path.unlink(missing_ok=True)
    if bad:
        then = f"going on from {sound[0].name}" if sound else "training starts from the beginning"
        log.warning("%s: damaged, missing or no checkpoint; %s", ", ".join(str(path) for path in bad), then)
    return sound[0].name if sound else None
