"""Recordings of minutes, preprocessed once, and the windows that are cut from them."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.file_check import find_unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.signals.preprocessing import Preprocessing
from rnc_lightning.datasets.signals.store import Recording, RecordingStore
from rnc_lightning.datasets.signals.windows import RecordingFiles, Recordings, Windows, window_starts
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.transform import Description
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, list_files
from rnc_lightning.targets.groups import Groups

SUFFIXES = (".edf", ".npy", ".npz")
_AT_ONCE = 8  # recordings without labels that are held in memory


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
        in_channels: Channels that the encoder expects.
        channels: Their names, in this order; null: all that a file has.
        **loading: Arguments of `RegressionDataModule`; `cache_dir: null` holds the recordings in memory.

    Raises:
        ValueError: For an argument out of its range.
    """

    input = "path"  # a table's column of paths
    rate_column: str | None = None  # a table's column of sampling rates in Hz, where files do not say theirs

    def __init__(
        self,
        *,
        window: float,
        sampling_rate: float,
        in_channels: int,
        channels: Sequence[str] | None = None,
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
        if channels is not None and len(channels) != in_channels:
            raise ValueError(f"channels: {len(channels)} are named, and input.channels is {in_channels}")
        self.eval_windows = eval_windows
        self.in_channels = in_channels
        self.channels = None if channels is None else list(channels)

    @abstractmethod
    def recording(self, path: Path, rate: float | None = None) -> Recording:
        """A file as a recording, by its header.

        Args:
            path: The file.
            rate: Its sampling rate in Hz, where the file does not say it and it is not that of the settings.

        Raises:
            ValueError: If it cannot be one.
        """

    def unusable_reason(self, recording: Recording) -> tuple[str, str] | None:
        """Kind and detail of why a recording cannot be used, as far as its header tells; None if it can."""
        if reason := self.preprocessing.unusable_reason(recording.rate):
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
            UserError: If some cannot be preprocessed.
        """
        store = RecordingStore(self.preprocessing, {}, None)
        store.build([one.recording for one in recordings])
        return self._split("test", recordings, store)

    def example_input(self) -> np.ndarray:
        """A silent window."""
        return np.zeros((self.in_channels, self.window), dtype=np.float32)

    def describe_input(self) -> Description:
        """Channels, length, band, sampling rate, and what the transform does."""
        made = self.preprocessing
        facts = {
            "kind": "signal", "sampling_rate": made.sampling_rate, "low": made.low, "high": made.high,
            "channels": self.channels, "window": self.window / made.sampling_rate,
        }  # fmt: skip
        words = (
            f"Windows of {self.in_channels} channels and {self.window} samples at {made.sampling_rate:g} Hz, float32; "
            "predictions of a recording's windows are averaged."
        )
        return Description(facts, words).then(self.eval_transform)

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Recordings in files, preprocessed and cut into windows as in the test, a few at a time."""
        files = list_files(inputs, SUFFIXES, self.input, problems)
        rates: list[float | None] = [None] * len(files)
        if self.rate_column is not None and self.rate_column in files.columns:
            rates = pd.to_numeric(files.columns[self.rate_column], errors="coerce").tolist()
        found: dict[int, Recording] = {}
        bad: dict[int, str] = {}
        for i, (path, rate) in enumerate(zip(files.paths, rates, strict=True)):
            try:
                found[i] = self._unlabelled_recording(path, rate)
            except ValueError as error:
                bad[i] = str(error)
        places = list(found)
        checked = find_unreadable(RecordingFiles([found[i] for i in places]), what="recordings")
        bad |= {places[position]: reason for position, reason in checked.items()}
        kept = files.without(bad, "unusable recording", problems)
        return Unlabelled(kept.columns, self._windows_of_each([found[i] for i in places if i not in bad]))

    def _unlabelled_recording(self, path: Path, rate: float | None) -> Recording:
        recording = self.recording(path, rate)
        if recording.channels != self.in_channels:
            raise ValueError(f"{recording.channels} channels, where the run was trained on {self.in_channels}")
        if (reason := self.unusable_reason(recording)) is not None:
            raise ValueError(": ".join(reason))
        return recording

    def _windows_of_each(self, recordings: Sequence[Recording]) -> Iterator[Split]:
        for first in range(0, len(recordings), _AT_ONCE):
            chunk = recordings[first : first + _AT_ONCE]
            yield self.windows_of([LabelledRecording(str(i), one, [0.0]) for i, one in enumerate(chunk)])

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
