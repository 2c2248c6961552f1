"""Recordings of minutes, preprocessed once, and the windows that are cut from them."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.signals.preprocessing import Preprocessing
from rnc_lightning.datasets.signals.store import Recording, RecordingStore
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.targets.groups import Groups


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

    @abstractmethod
    def recording(self, path: Path, rate: float | None = None) -> Recording:
        """A file as a recording, by its header.

        Args:
            path: The file.
            rate: Its sampling rate in Hz, where the file does not say it and it is not that of the settings.

        Raises:
            ValueError: Where it cannot be one.
        """

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

    def windows_of(self, recordings: Sequence[LabelledRecording]) -> Split:
        """Windows of recordings as in the test, preprocessed here and held in memory.

        Raises:
            UserError: Where some cannot be preprocessed.
        """
        store = RecordingStore(self.preprocessing, {}, None)
        store.build([one.recording for one in recordings])
        return self._split("test", recordings, store)

    def read_once(self) -> None:
        """Read the splits where they have not been read yet, and preprocess every recording."""
        if self.splits:
            return
        super().read_once()
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
