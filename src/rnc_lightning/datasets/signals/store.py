"""Recordings in files, and their preprocessed samples, kept in a cache or in memory."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from rnc_lightning.datasets.signals.preprocessing import Preprocessing
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_atomically
from rnc_lightning.system.locks import wait_for_lock

log = logging.getLogger(__name__)

_VERSION = 1  # to be raised when the preprocessing changes, so that nothing old is taken for new
_HEADER = 128  # bytes of an .npy file beside its samples


@dataclass(frozen=True)
class Recording:
    """A recording in a file, known by its header only.

    Attributes:
        path: The file.
        rate: Its sampling rate in Hz.
        samples: How many samples of each channel are used, at its own rate.
        channels: How many channels are used.
        read: Reads them: (channels, samples) float64. Raises ValueError where it cannot.
    """

    path: Path
    rate: float
    samples: int
    channels: int
    read: Callable[[], np.ndarray]

    def values(self) -> np.ndarray:
        """The used samples, (channels, samples) float64.

        Raises:
            ValueError: If they cannot be read, are not as many as the header says, or not all finite.
        """
        found = self.read()
        if found.shape != (self.channels, self.samples):
            raise ValueError(f"shape {found.shape}, not {(self.channels, self.samples)} as its header says")
        if bad := int(np.count_nonzero(~np.isfinite(found))):
            raise ValueError(f"{bad} values are NaN or infinite")
        if np.abs(found).max(initial=0) > np.finfo(np.float32).max:
            raise ValueError("values beyond what float32 holds")
        return found


class RecordingStore:
    """Preprocessed recordings (C, T) float32: files in a cache, or, without one, arrays in memory.

    A file of the cache is found by the hash of all settings (its folder) and by the path, size and time of its source
    (its name), so a change of either makes a new one. Files are written whole: a build that was stopped goes on where
    it was.

    Args:
        preprocessing: Band and sampling rate.
        settings: Whatever else shapes the samples, as plain values: channels, seconds used.
        cache_dir: Where the cache is; None holds everything in memory.
    """

    def __init__(self, preprocessing: Preprocessing, settings: Mapping[str, Any], cache_dir: Path | None) -> None:
        self.preprocessing = preprocessing
        shaping = {"version": _VERSION, **asdict(preprocessing), **settings}
        self.key = _hash(json.dumps(shaping, sort_keys=True))
        self.folder = None if cache_dir is None else cache_dir / "recordings" / self.key
        self._memory: dict[Path, np.ndarray] = {}
        self._files: dict[Path, Path] = {}  # so that the sources are looked at once, not at each access

    def file(self, recording: Recording) -> Path | None:
        """Where a recording is, or would be, in the cache; None without one."""
        if self.folder is None:
            return None
        if recording.path not in self._files:
            found = recording.path.stat()
            state = f"{found.st_size} {found.st_mtime_ns} {recording.rate}"
            self._files[recording.path] = self.folder / f"{_source(recording)}-{_hash(state)}.npy"
        return self._files[recording.path]

    def length(self, recording: Recording) -> int:
        """Samples of a channel once preprocessed."""
        return self.preprocessing.length(recording.samples, recording.rate)

    def __getitem__(self, recording: Recording) -> np.ndarray:
        """A preprocessed recording, from the cache or from memory; computed where it is in neither."""
        if recording.path in self._memory:
            return self._memory[recording.path]
        file = self.file(recording)
        if file is not None and file.is_file():
            return np.load(file, mmap_mode="r")
        return self._compute(recording)

    def build(self, recordings: Sequence[Recording], what: str = "recordings") -> None:
        """Preprocess all that are not there yet, in parallel.

        Args:
            recordings: The recordings.
            what: What they are, for the progress bar.

        Raises:
            UserError: If the disk would not hold them, or some cannot be preprocessed: all of those.
        """
        if self.folder is None:
            missing = [recording for recording in recordings if recording.path not in self._memory]
            self._run(missing, self._hold, what)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"data.cache_dir: {self.folder} cannot be made ({error.strerror})") from error
        with wait_for_lock(self.folder / ".lock", f"preprocesses {what}"):
            for left in self.folder.glob(".*.npy"):  # unfinished, of a process that was killed
                left.unlink()
            missing = [recording for recording in recordings if not self._cached(recording)]
            self._fits(missing)
            self._run(missing, self._save, what)

    def _cached(self, recording: Recording) -> bool:
        file = self.file(recording)
        return file is not None and file.is_file()

    def _compute(self, recording: Recording) -> np.ndarray:
        return self.preprocessing(recording.values(), recording.rate)

    def _hold(self, recording: Recording) -> None:
        self._memory[recording.path] = self._compute(recording)

    def _save(self, recording: Recording) -> None:
        file, samples = self.file(recording), self._compute(recording)
        assert file is not None
        assert self.folder is not None
        for old in self.folder.glob(f"{_source(recording)}-*.npy"):  # of an earlier state of the source
            old.unlink()
        write_atomically(file, partial(_write, samples=samples))

    def _fits(self, recordings: Sequence[Recording]) -> None:
        assert self.folder is not None
        needed = sum(4 * recording.channels * self.length(recording) + _HEADER for recording in recordings)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise UserError(
                f"{self.folder}: {len(recordings)} preprocessed recordings need {needed / 1e9:.3g} GB, and "
                f"{free / 1e9:.3g} GB are free: make room, choose another disk by data.cache_dir=..., or hold them in "
                "memory by data.cache_dir=null"
            )

    def _run(self, recordings: Sequence[Recording], work: Callable[[Recording], None], what: str) -> None:
        failed = []
        for recording, reason in zip(recordings, _in_parallel(work, recordings, what), strict=True):
            if reason is None:
                continue
            # Once more, alone: of thousands of sound recordings one was seen to fail beside others, cause unknown.
            if (again := _tried(work, recording)) is None:
                log.warning("%s: %s; the second try went well", recording.path, reason)
            else:
                failed.append(f"{recording.path}: {again}")
        if failed:
            raise UserError(
                f"{len(failed)} {what} cannot be preprocessed; data.check_files=true data.on_bad=skip leaves "
                "unreadable ones out. They are:",
                failed,
            )


def _in_parallel(work: Callable[[Recording], None], recordings: Sequence[Recording], what: str) -> Iterator[str | None]:
    """What went wrong with each; None if nothing did."""
    pool = ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0)))))  # NumPy and SciPy free the lock meanwhile
    try:
        quiet = len(recordings) < 20
        results = pool.map(partial(_tried, work), recordings)
        yield from track(results, f"preprocessing {what}", total=len(recordings), transient=True, disable=quiet)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt ends it after those under way


def _tried(work: Callable[[Recording], None], recording: Recording) -> str | None:
    try:
        work(recording)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def _write(path: Path, samples: np.ndarray) -> None:
    np.save(path, samples)


def _source(recording: Recording) -> str:
    return _hash(str(recording.path.resolve()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
