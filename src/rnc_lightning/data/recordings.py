"""Recordings of minutes, preprocessed once, and the windows that are cut from them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from rnc_lightning.data.datamodule import RegressionDataModule
from rnc_lightning.data.eeg import Preprocessing
from rnc_lightning.data.splits import Groups, Split, SplitName
from rnc_lightning.errors import UserError
from rnc_lightning.files import write_whole
from rnc_lightning.locks import held

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
            ValueError: Where they cannot be read, are not as many as the header says, or not all finite.
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
            UserError: Where the disk would not hold them, or some cannot be preprocessed: all of those.
        """
        if self.folder is None:
            missing = [recording for recording in recordings if recording.path not in self._memory]
            self._run(missing, self._hold, what)
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"data.cache_dir: {self.folder} cannot be made ({error.strerror})") from error
        with held(self.folder / ".lock", f"preprocesses {what}"):
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
        write_whole(file, partial(_write, samples=samples))

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
        failed = [
            f"{recording.path}: {reason}"
            for recording, reason in zip(recordings, _in_parallel(work, recordings, what), strict=True)
            if reason is not None
        ]
        if failed:
            raise UserError(
                f"{len(failed)} {what} cannot be preprocessed; data.check_files=true data.on_bad=skip leaves "
                "unreadable ones out. They are:",
                failed,
            )


class Recordings:
    """Whole preprocessed recordings as inputs: (C, T) float32 each, T of its own.

    Args:
        recordings: One a sample.
        store: Where their samples are.
    """

    def __init__(self, recordings: Sequence[Recording], store: RecordingStore) -> None:
        self.recordings = list(recordings)
        self.store = store

    @property
    def paths(self) -> list[Path]:
        """The file of each recording."""
        return [recording.path for recording in self.recordings]

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.store[self.recordings[index]]


class Windows:
    """Windows of preprocessed recordings as inputs: (C, length) float32 each.

    Args:
        recordings: The recordings.
        places: For each window, the recording's index and the first sample.
        length: Samples of a window.
    """

    def __init__(self, recordings: Recordings, places: Sequence[tuple[int, int]], length: int) -> None:
        self.recordings = recordings
        self.places = list(places)
        self.length = length

    @property
    def paths(self) -> list[Path]:
        """The file of each recording, once."""
        return self.recordings.paths

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> np.ndarray:
        recording, first = self.places[index]
        return self.recordings[recording][:, first : first + self.length]


def window_starts(samples: int, length: int, most: int | None = None) -> list[int]:
    """First samples of windows that do not overlap, evenly spaced over a recording.

    Args:
        samples: Samples of the recording.
        length: Samples of a window.
        most: Windows at most; None for as many as fit.

    >>> window_starts(100, 30), window_starts(100, 30, most=2), window_starts(100, 30, most=1)
    ([0, 35, 70], [0, 70], [35])
    """
    fitting = samples // length
    count = fitting if most is None else min(most, fitting)
    if count == 1:
        return [(samples - length) // 2]
    return [i * (samples - length) // (count - 1) for i in range(count)]


@dataclass(frozen=True)
class LabelledRecording:
    """A recording with its name and its target (D numbers in label units)."""

    name: str
    recording: Recording
    target: Sequence[float]


class RecordingsDataModule(RegressionDataModule):
    """Recordings of which training sees whole ones (its transform cuts a window) and evaluation evenly spaced windows.

    The predictions of a recording's windows are averaged in validation and test (`Split.groups`).

    Args:
        window: Seconds of a window.
        sampling_rate: Hz after preprocessing.
        low: Lower edge of the band in Hz; null keeps slow waves and the offset.
        high: Upper edge of the band in Hz; null leaves it to the resampling.
        eval_windows: Windows of a recording in validation and test at most; null: as many as fit.
        **loading: Arguments of `RegressionDataModule`; `cache_dir: null` holds the recordings in memory.

    Raises:
        ValueError: For an argument out of its range.
    """

    def __init__(
        self,
        *,
        window: float,
        sampling_rate: float,
        low: float | None = None,
        high: float | None = None,
        eval_windows: int | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self.preprocessing = Preprocessing(sampling_rate, low, high)
        self.window = round(window * sampling_rate)
        if self.window < 1:
            raise ValueError(f"window must be at least one sample, got {window} s at {sampling_rate} Hz")
        if eval_windows is not None and eval_windows < 1:
            raise ValueError(f"eval_windows must be at least 1 or null, got {eval_windows}")
        self.eval_windows = eval_windows

    def refusal(self, recording: Recording) -> tuple[str, str] | None:
        """Kind and detail of why a recording cannot be used, as far as its header tells; None where it can."""
        if reason := self.preprocessing.refusal(recording.rate):
            return "sampling rate too low", reason
        if (length := self.preprocessing.length(recording.samples, recording.rate)) < self.window:
            rate = self.preprocessing.sampling_rate
            return "recording shorter than a window", f"{length / rate:g} s of {self.window / rate:g} s"
        return None

    def recording_splits(
        self, parts: Mapping[SplitName, Sequence[LabelledRecording]], settings: Mapping[str, Any]
    ) -> dict[SplitName, Split]:
        """The splits: one sample a recording in training, one a window in validation and test.

        Args:
            parts: Usable recordings.
            settings: What shapes their samples beside band and sampling rate.
        """
        store = RecordingStore(self.preprocessing, settings, self.cache_dir)
        return {part: self._split(part, found, store) for part, found in parts.items()}

    def setup(self, stage: str | None = None) -> None:
        """Read the splits once, and preprocess every recording."""
        if self.splits:
            return
        super().setup(stage)
        inputs = [_recordings(split) for split in self.splits.values()]
        everything = [recording for part in inputs for recording in part.recordings]
        inputs[0].store.build(everything, f"recordings of {self.title}")

    def content_digest(self) -> bytes:
        """Sizes of the files, and the preprocessing."""
        inputs = [_recordings(split) for split in self.splits.values()]
        return super().content_digest() + b"".join(part.store.key.encode() for part in inputs)

    def _split(self, part: SplitName, found: Sequence[LabelledRecording], store: RecordingStore) -> Split:
        recordings = Recordings([one.recording for one in found], store)
        names = [one.name for one in found]
        targets = torch.tensor([list(one.target) for one in found], dtype=torch.float32)
        targets = targets.reshape(len(found), -1 if found else 1)
        if part == "train":
            return Split(recordings, targets, names)
        places = [
            (i, first)
            for i, one in enumerate(found)
            for first in window_starts(store.length(one.recording), self.window, self.eval_windows)
        ]
        index = torch.tensor([i for i, _ in places], dtype=torch.int64)
        seconds = [first / self.preprocessing.sampling_rate for _, first in places]
        window_names = [f"{names[i]} {second:g} s" for (i, _), second in zip(places, seconds, strict=True)]
        return Split(Windows(recordings, places, self.window), targets[index], window_names, Groups(index, names))


def _recordings(split: Split) -> Recordings:
    inputs = split.inputs.recordings if isinstance(split.inputs, Windows) else split.inputs
    assert isinstance(inputs, Recordings)
    return inputs


def _in_parallel(work: Callable[[Recording], None], recordings: Sequence[Recording], what: str) -> Iterator[str | None]:
    """What went wrong with each; None where nothing did."""

    def tried(recording: Recording) -> str | None:
        try:
            work(recording)
        except (ValueError, OSError) as error:
            return str(error)
        return None

    pool = ThreadPoolExecutor(max(1, min(16, len(os.sched_getaffinity(0)))))  # NumPy and SciPy free the lock meanwhile
    try:
        quiet = len(recordings) < 20
        results = pool.map(tried, recordings)
        yield from track(results, f"preprocessing {what}", total=len(recordings), transient=True, disable=quiet)
    finally:
        pool.shutdown(cancel_futures=True)  # an interrupt ends it after those under way


def _write(path: Path, samples: np.ndarray) -> None:
    np.save(path, samples)


def _source(recording: Recording) -> str:
    return _hash(str(recording.path.resolve()))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
