"""Recordings as inputs: whole ones, windows of them, and files that are only to be checked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rnc_lightning.datasets.reading.file_check import CheckedFiles
from rnc_lightning.datasets.signals.store import Recording, RecordingStore


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


class RecordingFiles:
    """Recordings as they lie in their files, to be checked.

    Args:
        recordings: One a sample.
    """

    def __init__(self, recordings: Sequence[Recording]) -> None:
        self.recordings = list(recordings)
        self.paths: Sequence[Path] = [recording.path for recording in recordings]

    def __len__(self) -> int:
        return len(self.recordings)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.recordings[index].values()

    def problem(self, index: int) -> str | None:
        """What is wrong with a recording, found by reading all of it; None if nothing is."""
        try:
            self.recordings[index].values()
        except ValueError as error:
            return str(error)
        return None

    def take(self, indices: Sequence[int]) -> CheckedFiles:
        """Some of the recordings, in the order given."""
        return RecordingFiles([self.recordings[i] for i in indices])
