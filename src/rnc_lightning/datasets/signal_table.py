"""Signals of your own, which a table lists: arrays in .npy or .npz files, or EDF recordings."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from rnc_lightning.datasets.reading.file_check import find_unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import read_table
from rnc_lightning.datasets.signals.edf import pick, read_header, read_samples
from rnc_lightning.datasets.signals.recordings import LabelledRecording, RecordingsDataModule
from rnc_lightning.datasets.signals.store import Recording
from rnc_lightning.datasets.signals.windows import RecordingFiles
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.datasets.table_datamodule import UserTableDataModule
from rnc_lightning.system.errors import UserError


class SignalsDataModule(UserTableDataModule, RecordingsDataModule):
    """Signals (C, T) of your own with one or more labels.

    Args:
        input: Column of the paths, relative to `root`: .npy, .npz or .edf.
        root: Folder that the paths are relative to; null: that of the table.
        key: Name of the array in .npz files; null: the first one.
        rate_column: Column of the sampling rates of .npy and .npz files in Hz; null: they have `sampling_rate`
            already. EDF files say their own.
        **others: Arguments of `UserTableDataModule` and `RecordingsDataModule`; `channels` are taken from EDF files.

    Raises:
        ValueError: For arguments out of range, or that contradict each other.
    """

    def __init__(
        self,
        *,
        input: str,
        root: str | None = None,
        key: str | None = None,
        rate_column: str | None = None,
        **others: Any,
    ) -> None:
        super().__init__(**others)
        if root is not None:
            self.root = Path(root)
        self.input = str(input)
        self.key = key
        self.rate_column = None if rate_column is None else str(rate_column)

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table and the header of every file; what cannot be used becomes a problem."""
        rows, files = self.read_file_rows(self.input, problems)
        rates = self._rates()
        found: dict[int, Recording] = {}
        for i, file in enumerate(files):
            where = rows.table.where(i)
            try:
                found[i] = self.recording(file, rates.get(rows.table.frame.index[i]))
            except ValueError as error:
                problems.add("unreadable file", f"{where}, {rows.names[i]}", str(error))
                continue
            if reason := self.unusable_reason(found[i]):
                problems.add(reason[0], f"{where}, {rows.names[i]}", reason[1])
                del found[i]
        self._same_channels(found, [f"{rows.table.where(i)}, {name}" for i, name in enumerate(rows.names)], problems)
        if self.check_files:
            self._check_values(found, [rows.table.where(i) for i in range(len(rows))], problems)
        parts: dict[SplitName, list[LabelledRecording]] = {
            part: [
                LabelledRecording(rows.names[i], found[i], rows.targets[i].tolist())
                for i in rows.of(part)
                if i in found
            ]
            for part in PARTS
        }
        return self.recording_splits(parts, {"channels": self.channels, "key": self.key})

    def _rates(self) -> dict[int, float]:
        """Sampling rate in Hz by the row's number, where the table has a column of them."""
        if self.rate_column is None:
            return {}
        table = read_table(self.csv, [self.rate_column])
        return dict(zip(table.frame.index.tolist(), table.numbers(self.rate_column).tolist(), strict=True))

    def recording(self, path: Path, rate: float | None = None) -> Recording:
        """A file as a recording; see `RecordingsDataModule`."""
        if path.suffix.lower() == ".edf":
            return edf_recording(path, self.channels)
        if self.rate_column is None:
            rate = self.preprocessing.sampling_rate
        if rate is None or not (np.isfinite(rate) and rate > 0):  # None: an empty row, seen from that column
            raise ValueError(f"{self.rate_column} is no positive number")
        channels, samples = array_shape(path, self.key)
        return Recording(path, rate, samples, channels, partial(read_array, path, self.key))

    def _same_channels(self, found: dict[int, Recording], where: Sequence[str], problems: Problems) -> None:
        """Take out the signals with another number of channels than the encoder expects.

        Raises:
            UserError: If none has that number.
        """
        counts = Counter(recording.channels for recording in found.values())
        if counts and self.in_channels not in counts:
            usual = counts.most_common(1)[0][0]
            raise UserError(
                f"{self.csv}: the signals have {usual} channels, and input.channels is {self.in_channels}: "
                f"set input.channels={usual}"
            )
        for i, recording in list(found.items()):
            if recording.channels != self.in_channels:
                detail = f"{recording.channels} channels, input.channels is {self.in_channels}"
                problems.add("other number of channels", where[i], detail)
                del found[i]

    def _check_values(self, found: dict[int, Recording], where: Sequence[str], problems: Problems) -> None:
        """Take out the signals whose values cannot be read or are not finite."""
        rows = list(found)
        memory = None if self.cache_dir is None else self.cache_dir / "checked" / f"signals-{self._check_key()}.json"
        for position, reason in find_unreadable(RecordingFiles([found[i] for i in rows]), memory, "signals").items():
            i = rows[position]
            problems.add("unreadable file", f"{where[i]}, {found[i].path.name}", reason)
            del found[i]

    def _check_key(self) -> str:
        """Short, and the same for checks that look at the same values."""
        return hashlib.sha256(json.dumps([self.channels, self.key]).encode()).hexdigest()[:16]


def edf_recording(path: Path, channels: Sequence[str] | None = None) -> Recording:
    """An EDF file, all of its seconds.

    Args:
        path: The file.
        channels: Names of the channels to take; None takes all.

    Raises:
        ValueError: If its header is broken, channels are missing, or have several sampling rates.
    """
    header = read_header(path)
    places = pick(header.labels, channels) if channels is not None else list(range(len(header.labels)))
    rates = sorted({header.rates[i] for i in places})
    if len(rates) != 1:
        told = ", ".join(f"{rate:g} Hz" for rate in rates) or "none"
        raise ValueError(f"channels of several sampling rates ({told}): name those to take in data.channels")
    count = header.counts[places[0]]
    return Recording(path, rates[0], count, len(places), partial(read_samples, path, places, 0, count))


def array_shape(path: Path, key: str | None = None) -> tuple[int, int]:
    """Channels and samples of an array in a file; one with a single axis has one channel.

    Raises:
        ValueError: If it is no array of numbers (C, T).
    """
    array = _array(path, key)
    if array.ndim not in (1, 2) or 0 in array.shape:
        raise ValueError(f"an array of shape {array.shape}, not (channels, samples)")
    if not (np.issubdtype(array.dtype, np.floating) or np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"an array of {array.dtype}, not of real numbers")
    return (1, len(array)) if array.ndim == 1 else array.shape


def read_array(path: Path, key: str | None = None) -> np.ndarray:
    """An array (C, T) from a file, float64.

    Raises:
        ValueError: If it cannot be read.
    """
    return np.atleast_2d(np.asarray(_array(path, key), dtype=np.float64))


def _array(path: Path, key: str | None) -> np.ndarray:
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        if suffix != ".npz":
            raise ValueError(f"a {suffix or 'nameless'} file, not .npy, .npz or .edf")
        with np.load(path, allow_pickle=False) as arrays:
            if not arrays.files:
                raise ValueError("no array in it")
            if key is not None and key not in arrays.files:
                raise ValueError(f"no array {key}: it has {', '.join(arrays.files)}")
            return arrays[key or arrays.files[0]]
    except ValueError:
        raise
    except Exception as error:  # a damaged file can bring up almost anything
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error
