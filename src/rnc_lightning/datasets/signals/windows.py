"""Recordings as inputs: complete ones, windows of them, and files to check."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnc_lightning.datasets.reading.file_check import CheckedFiles, error_message
from rnc_lightning.datasets.signals.store import Recording, RecordingStore


class Recordings:
    """Complete preprocessed recordings as inputs: (C, T) float32, with a different T for each.

    Args:
        recordings: One per sample.
        store: Provides the preprocessed recordings.
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
        starts: For each window, the recording's index and the first sample.
        length: Samples of a window.
    """

    def __init__(self, recordings: Recordings, starts: Sequence[tuple[int, int]], length: int) -> None:
        self.recordings = recordings
        self.starts = list(starts)
        self.length = length

    @property
    def paths(self) -> list[Path]:
        """The file of each recording, once."""
        return self.recordings.paths

    @property
    def path_of(self) -> list[int]:
        """For each window, the index of its path."""
        return [recording for recording, _ in self.starts]

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> np.ndarray:
        recording, first = self.starts[index]
        return self.recordings[recording][:, first : first + self.length]


def window_starts(samples: int, length: int, most: int | None = None) -> list[int]:
    """The first samples of non-overlapping windows, evenly spaced over a recording.

    Args:
        samples: Samples of the recording.
        length: Samples of a window.
        most: Largest number of windows; None: as many as fit.

    >>> window_starts(100, 30), window_starts(100, 30, most=2), window_starts(100, 30, most=1)
    ([0, 35, 70], [0, 70], [35])
    """
    fitting = samples // length
    count = fitting if most is None else min(most, fitting)
    if count == 1:
        return [(samples - length) // 2]
    return [i * (samples - length) // (count - 1) for i in range(count)]


class RecordingFiles:
    """Recordings read from their files, without preprocessing, to check them.

    Args:
        recordings: One per sample.
        checked_as: What the values depend on in addition to the files, such as the channels.
    """

    def __init__(self, recordings: Sequence[Recording], checked_as: bytes = b"") -> None:
        self.recordings = list(recordings)
        self.paths: Sequence[Path] = [recording.path for recording in recordings]
        self.checked_as = checked_as

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.recordings[index].values()

    def problem(self, index: int) -> str | None:
        """What is wrong with a recording, found by reading it completely; None if nothing is."""
        return error_message(self.recordings[index].values)

    def take(self, indices: Sequence[int]) -> CheckedFiles:
        """Some of the recordings, in this order."""
        return RecordingFiles([self.recordings[i] for i in indices], self.checked_as)
