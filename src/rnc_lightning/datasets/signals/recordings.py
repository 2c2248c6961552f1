"""Recordings of several minutes, preprocessed once, and the windows cut from them."""

import logging
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.file_check import find_unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table
from rnc_lightning.datasets.signals.preprocessing import Preprocessing
from rnc_lightning.datasets.signals.store import Recording, RecordingStore
from rnc_lightning.datasets.signals.windows import RecordingFiles, Recordings, Windows, window_starts
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.transform import Description
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, list_files
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.targets.groups import Groups

log = logging.getLogger(__name__)

SUFFIXES = (".edf", ".npy", ".npz")
_CHUNK = 8  # unlabelled recordings in memory at a time


@dataclass(frozen=True)
class LabelledRecording:
    """A recording with its name and its target (D numbers in label units)."""

    name: str
    recording: Recording
    target: Sequence[float]


class RecordingsDataModule(RegressionDataModule):
    """Recordings as samples: complete ones in training (the transform cuts a window), windows in evaluation.

    In validation and test the windows are evenly spaced, and the predictions of a recording's windows are averaged
    (`Split.groups`).

    Args:
        window: Length of a window in seconds.
        sampling_rate: Sampling rate after preprocessing in Hz.
        low: Lower edge of the band in Hz; null keeps slow waves and the offset.
        high: Upper edge of the band in Hz; null: limited only by the resampling.
        eval_windows: Largest number of windows per recording in validation and test; null: as many as fit.
        in_channels: Number of channels that the encoder expects.
        channels: Their names, in this order; null: all channels of a file.
        **loading: Arguments of `RegressionDataModule`; `cache_dir: null` keeps the recordings in memory.

    Raises:
        ValueError: For an argument out of its range.
    """

    input = "path"  # a table's column of paths
    label_dtype: ClassVar[torch.dtype] = torch.float32
    rate_column: str | None = None  # a table's column of sampling rates in Hz, for files without one

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
        if eval_windows is not None:
            check_whole_number("eval_windows", eval_windows, 1)
        if channels is not None and len(channels) != in_channels:
            raise ValueError(f"channels names {len(channels)} channels, but input.channels is {in_channels}")
        self.eval_windows = eval_windows
        self.in_channels = in_channels
        self.channels = None if channels is None else list(channels)

    @property
    def channel_names(self) -> list[str] | None:
        """Names of the channels in the encoder's order, if they are known before or from the training files."""
        return self.channels if self.channels is not None else (self.preparation or {}).get("channels")

    @abstractmethod
    def recording(self, path: Path, rate: float | None = None) -> Recording:
        """Read a file's header as a recording.

        Args:
            path: The file.
            rate: Its sampling rate in Hz, if neither the file nor the configuration defines it.

        Raises:
            ValueError: If the file is not a usable recording.
        """

    def unusable_reason(self, recording: Recording) -> tuple[str, str] | None:
        """Kind and detail of the problem with a recording, judging by its header; None if there is none."""
        if reason := self.preprocessing.unusable_reason(recording.rate):
            return "sampling rate too low", reason
        if (length := self.preprocessing.length(recording.samples, recording.rate)) < self.window:
            rate = self.preprocessing.sampling_rate
            return "recording shorter than a window", f"{length / rate:g} s, the window is {self.window / rate:g} s"
        return None

    def recording_splits(
        self, parts: Mapping[SplitName, Sequence[LabelledRecording]], settings: Mapping[str, Any]
    ) -> dict[SplitName, Split]:
        """The splits: one sample per recording in training, one per window in validation and test.

        Args:
            parts: Usable recordings of each part.
            settings: Everything except band and sampling rate that affects their samples.
        """
        store = RecordingStore(self.preprocessing, settings, self.cache_dir, self.contents)
        return {part: self._split(part, recordings, store) for part, recordings in parts.items()}

    def windows_of(self, recordings: Sequence[LabelledRecording]) -> Split:
        """Windows of recordings as in the test, preprocessed here and kept in memory.

        Raises:
            UserError: If some cannot be preprocessed.
        """
        store = RecordingStore(self.preprocessing, {}, None)
        store.build([one.recording for one in recordings])
        return self._split("test", recordings, store)

    def example_input(self) -> np.ndarray:
        """A window of zeros."""
        return np.zeros((self.in_channels, self.window), dtype=np.float32)

    def describe_input(self) -> Description:
        """Channels, length, band, sampling rate, and what the transform does."""
        names = self.channel_names
        rate = self.preprocessing.sampling_rate
        facts = {
            "kind": "signal", "sampling_rate": rate, "low": self.preprocessing.low, "high": self.preprocessing.high,
            "channels": names, "window": self.window / rate,
        }  # fmt: skip
        named = "" if names is None else f" Channels: {', '.join(names)}."
        words = (
            f"Windows of {self.in_channels} channels and {self.window} samples at {rate:g} Hz, float32; average the "
            f"predictions of a recording's windows.{named}"
        )
        return Description(facts, words).then(self.eval_transform)

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Recordings in files, preprocessed and cut into windows as in the test, a few at a time."""
        files = list_files(inputs, SUFFIXES, self.input, problems)
        rates: list[float | None] = [None] * len(files)
        if self.rate_column is not None and self.rate_column in files.columns:
            rates = Table(inputs.path, files.columns).numbers(self.rate_column).tolist()
        recordings: dict[int, Recording] = {}
        bad: dict[int, str] = {}
        for i, (path, rate) in enumerate(zip(files.paths, rates, strict=True)):
            try:
                recordings[i] = self._unlabelled_recording(path, rate)
            except ValueError as error:
                bad[i] = str(error)
        indices = list(recordings)
        unreadable = find_unreadable(RecordingFiles(list(recordings.values())), what="recordings")
        bad |= {indices[position]: reason for position, reason in unreadable.items()}
        self.note_unnamed_channels([one for i, one in recordings.items() if i not in bad])
        usable = files.without(bad, "unusable recording", problems)
        return Unlabelled(usable.columns, self._windows_of_each([recordings[i] for i in indices if i not in bad]))

    def note_unnamed_channels(self, recordings: Sequence[Recording]) -> None:
        """Warn of recordings whose channels cannot be matched by name with those of the others."""
        names, named = self.channel_names, sum(one.labels is not None for one in recordings)
        if names is not None and named < len(recordings):
            log.warning(
                "%s: %d files do not name their channels, which are taken to be %s, in this order",
                *(self.title, len(recordings) - named, ", ".join(names)),
            )
        elif names is None and named:
            log.warning(
                "%s: the channels of %d files are taken in the order in which each file has them: those in training "
                "had no names, or data.match_channels=position",
                *(self.title, named),
            )

    def _unlabelled_recording(self, path: Path, rate: float | None) -> Recording:
        recording = self.recording(path, rate)
        if recording.channels != self.in_channels:
            raise ValueError(f"{recording.channels} channels, but the run was trained on {self.in_channels}")
        if (reason := self.unusable_reason(recording)) is not None:
            raise ValueError(": ".join(reason))
        return recording

    def _windows_of_each(self, recordings: Sequence[Recording]) -> Iterator[Split]:
        for first in range(0, len(recordings), _CHUNK):
            chunk = recordings[first : first + _CHUNK]
            yield self.windows_of([LabelledRecording(str(i), one, [0.0]) for i, one in enumerate(chunk)])

    def read_once(self) -> None:
        """Read the splits and preprocess every recording, unless that has been done already."""
        if self.splits:
            return
        super().read_once()
        inputs = [_recordings(split) for split in self.splits.values()]
        recordings = [recording for part in inputs for recording in part.recordings]
        inputs[0].store.build(recordings, f"recordings of {self.title}")

    def content_digest(self) -> bytes:
        """The preprocessing, and the sampling rates, which may come from a table."""
        inputs = [_recordings(split) for split in self.splits.values()]
        rates = [recording.rate for part in inputs for recording in part.recordings]
        return "".join([part.store.key for part in inputs]).encode() + np.array(rates).tobytes()

    def _split(self, part: SplitName, labelled: Sequence[LabelledRecording], store: RecordingStore) -> Split:
        recordings = Recordings([one.recording for one in labelled], store)
        names = [one.name for one in labelled]
        targets = torch.tensor([list(one.target) for one in labelled], dtype=self.label_dtype)
        targets = targets.reshape(len(labelled), -1 if labelled else 1)
        partial = bool(targets.isnan().any())  # the table's reader has checked that this is allowed
        if part == "train":
            return Split(recordings, targets, names, partial=partial)
        starts = [
            (i, first)
            for i, one in enumerate(labelled)
            for first in window_starts(store.length(one.recording), self.window, self.eval_windows)
        ]
        index = torch.tensor([i for i, _ in starts], dtype=torch.int64)
        window_names = [f"{names[i]} {first / self.preprocessing.sampling_rate:g} s" for i, first in starts]
        windows, groups = Windows(recordings, starts, self.window), Groups(index, names)
        return Split(windows, targets[index], window_names, groups, partial)


def _recordings(split: Split) -> Recordings:
    inputs = split.inputs.recordings if isinstance(split.inputs, Windows) else split.inputs
    assert isinstance(inputs, Recordings)
    return inputs
