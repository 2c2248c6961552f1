"""Checkpoints that survive damage to files: each is either complete or not there, and the previous one is kept."""

import io
import logging
import os
import pickle
import zipfile
import zlib
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
    """Writes each file next to the old one and then renames it; loads without executing anything in a file.

    The previous `last.ckpt` is kept as `last.before.ckpt`, in case the last one is damaged.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises:
            OSError: If it cannot be written; the old one is then still there.
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
        UserError: If the file contains anything else, which could be code.
    """
    try:
        return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} contains more than tensors and plain values, so this program did not write it; nothing in it was "
            "executed. Delete it and repeat the same command, which trains again what is missing"
        ) from error


def is_sound(path: Path) -> bool:
    """Whether a checkpoint exists, is complete and unchanged (by its checksums, without loading it).

    PyTorch does not compress what it saves, so a file whose parts are larger than itself would not be one of its own.
    """
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > path.stat().st_size:
                return False
            return parts.testzip() is None
    except (OSError, zipfile.BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError):
        return False


def resume_point(directory: Path, best: bool) -> Path | None:
    """The checkpoint to resume from: the last sound one; None to start from the beginning.

    Damaged files are reported and deleted. With several processes the first one decides for all.

    Args:
        directory: The stage's directory.
        best: Whether the best epoch's weights are kept too; training cannot resume if they are damaged.
    """
    name = distributed.broadcast_from_first(_sound_checkpoint(directory, best) if distributed.is_first() else None)
    return None if name is None else directory / name


def _sound_checkpoint(directory: Path, best: bool) -> str | None:
    if not directory.is_dir():
        return None
    for leftover in directory.glob(".*.*.ckpt"):  # from a process that was killed while writing
        leftover.unlink()
    existing = [directory / name for name in (LAST, BEFORE) if (directory / name).is_file()]
    bad = [path for path in existing if not is_sound(path)]
    sound = [path for path in existing if path not in bad]
    if sound and best and not is_sound(directory / BEST):
        bad, sound = [*existing, directory / BEST], []
    for path in bad:
        path.unlink(missing_ok=True)
    if bad:
        then = f"resuming from {sound[0].name}" if sound else "training starts from the beginning"
        log.warning("%s: damaged, missing or not a checkpoint; %s", ", ".join(map(str, bad)), then)
    return sound[0].name if sound else None
