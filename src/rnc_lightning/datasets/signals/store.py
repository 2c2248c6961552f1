"""Recordings in files, and their preprocessed samples in a cache or in memory."""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnc_lightning.datasets.reading.content import FileContents, in_parallel
from rnc_lightning.datasets.signals.preprocessing import Preprocessing
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import delete_temporary_files, write_atomically
from rnc_lightning.system.locks import wait_for_lock

log = logging.getLogger(__name__)

_VERSION = 1  # increase when the preprocessing changes, so that outdated caches are not used
_HEADER = 128  # bytes of an .npy file in addition to its samples


@dataclass(frozen=True)
class Recording:
    """A recording in a file, of which only the header has been read.

    Attributes:
        path: The file.
        rate: Its sampling rate in Hz.
        samples: Number of used samples per channel, at its own rate.
        channels: Number of used channels.
        read: Reads the samples (channels, samples) float64; raises ValueError if that fails.
        labels: Names of the used channels, in this order; None if the file does not name them.
        units: Their units after reading; empty if the file does not name them.
    """

    path: Path
    rate: float
    samples: int
    channels: int
    read: Callable[[], np.ndarray]
    labels: tuple[str, ...] | None = None
    units: tuple[str, ...] = ()

    def values(self) -> np.ndarray:
        """The used samples, (channels, samples) float64.

        Raises:
            ValueError: If they cannot be read, their number differs from the header, or some are not finite.
        """
        values = self.read()
        if values.shape != (self.channels, self.samples):
            raise ValueError(f"shape {values.shape}, but the header says {(self.channels, self.samples)}")
        if bad := int(np.count_nonzero(~np.isfinite(values))):
            raise ValueError(f"{bad} values are NaN or infinite")
        if np.abs(values).max(initial=0) > np.finfo(np.float32).max:
            raise ValueError("values outside the range of float32")
        return values


class RecordingStore:
    """Preprocessed recordings (C, T) float32: files in a cache, or arrays in memory.

    The folder of a cached file is a hash of all settings, its name a hash of the path and the content of the source, so
    a change of either creates a new file. Files appear only when complete: a stopped build is continued by the next
    one.

    Args:
        preprocessing: Band and sampling rate.
        settings: Everything else that affects the samples, as plain values: channels, seconds used.
        cache_dir: Folder of the cache; None keeps everything in memory.
        contents: Hashes of the sources.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        settings: Mapping[str, Any],
        cache_dir: Path | None,
        contents: FileContents | None = None,
    ) -> None:
        self.contents = contents or FileContents()
        self.preprocessing = preprocessing
        self.key = _hash(json.dumps({"version": _VERSION, **asdict(preprocessing), **settings}, sort_keys=True))
        self.folder = None if cache_dir is None else cache_dir / "recordings" / self.key
        self._memory: dict[Path, np.ndarray] = {}
        self._files: dict[Path, Path] = {}  # so that a source is looked at once, not at each access

    def file(self, recording: Recording) -> Path | None:
        """The cached file of a recording, whether it exists or not; None without a cache."""
        if self.folder is None:
            return None
        if recording.path not in self._files:
            state = f"{self.contents.digest(recording.path)} {recording.rate}"
            self._files[recording.path] = self.folder / f"{_source(recording)}-{_hash(state)}.npy"
        return self._files[recording.path]

    def length(self, recording: Recording) -> int:
        """Samples per channel after preprocessing."""
        return self.preprocessing.length(recording.samples, recording.rate)

    def __getitem__(self, recording: Recording) -> np.ndarray:
        """A preprocessed recording, from memory, from the cache, or computed now."""
        if recording.path in self._memory:
            return self._memory[recording.path]
        file = self.file(recording)
        if file is not None and file.is_file():
            return np.load(file, mmap_mode="r")
        return self._compute(recording)

    def build(self, recordings: Sequence[Recording], what: str = "recordings") -> None:
        """Preprocess all missing recordings in parallel.

        Args:
            recordings: The recordings.
            what: What they are, for the progress bar.

        Raises:
            UserError: If there is too little disk space, or recordings cannot be preprocessed; lists all of them.
        """
        if self.folder is None:
            missing = [recording for recording in recordings if recording.path not in self._memory]
            self._run(missing, self._keep_in_memory, what)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"data.cache_dir: {self.folder} cannot be created ({error.strerror})") from error
        self.contents.digests([recording.path for recording in recordings], what)
        with wait_for_lock(self.folder / ".lock", f"preprocesses {what}"):
            delete_temporary_files(self.folder)
            missing = [one for one in recordings if not self._is_cached(one)]
            self._check_disk_space(self.folder, missing)
            self._run(missing, self._save, what)

    def _is_cached(self, recording: Recording) -> bool:
        """Whether the cached file of a recording exists and is complete."""
        file = self.file(recording)
        if file is None or not file.is_file():
            return False
        try:
            return len(np.load(file, mmap_mode="r").shape) == 2
        except (ValueError, OSError, EOFError):
            log.warning("%s was damaged and is computed again", file)
            return False

    def _compute(self, recording: Recording) -> np.ndarray:
        return self.preprocessing(recording.values(), recording.rate)

    def _keep_in_memory(self, recording: Recording) -> None:
        self._memory[recording.path] = self._compute(recording)

    def _save(self, recording: Recording) -> None:
        file, samples = self.file(recording), self._compute(recording)
        assert file is not None
        for outdated in file.parent.glob(f"{_source(recording)}-*.npy"):  # of an earlier state of the source
            outdated.unlink()
        write_atomically(file, lambda temporary: np.save(temporary, samples))

    def _check_disk_space(self, folder: Path, recordings: Sequence[Recording]) -> None:
        needed = sum(4 * recording.channels * self.length(recording) + _HEADER for recording in recordings)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise UserError(
                f"{folder}: {len(recordings)} preprocessed recordings need {needed / 1e9:.3g} GB, but only "
                f"{free / 1e9:.3g} GB are free: free some disk space, use another disk with data.cache_dir=..., or "
                "keep them in memory with data.cache_dir=null"
            )

    def _run(self, recordings: Sequence[Recording], work: Callable[[Recording], None], what: str) -> None:
        failed = []
        for recording, reason in zip(recordings, _run_in_parallel(work, recordings, what), strict=True):
            if reason is None:
                continue
            # Retried alone: one of thousands of good recordings once failed when run in parallel, cause unknown.
            if (second_reason := _try(work, recording)) is None:
                log.warning("%s: %s; the second try succeeded", recording.path, reason)
            else:
                failed.append(f"{recording.path}: {second_reason}")
        if failed:
            raise UserError(
                f"{len(failed)} {what} cannot be preprocessed; set data.check_files=true data.on_bad=skip to skip "
                "unreadable ones. They are:",
                failed,
            )


def _run_in_parallel(
    work: Callable[[Recording], None], recordings: Sequence[Recording], what: str
) -> Iterator[str | None]:
    """The error message for each recording; None if there was no error."""
    # NumPy and SciPy release Python's lock.
    yield from in_parallel(partial(_try, work), recordings, f"preprocessing {what}", least=20)


def _try(work: Callable[[Recording], None], recording: Recording) -> str | None:
    try:
        work(recording)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def _source(recording: Recording) -> str:
    return _hash(str(recording.path.resolve()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
