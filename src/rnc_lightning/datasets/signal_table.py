"""Your own signals, listed in a table: arrays in .npy or .npz files, or EDF recordings."""

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnc_lightning.datasets.reading.file_check import find_unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import read_table
from rnc_lightning.datasets.signals.edf import (
    common_labels,
    find_channels,
    microvolts,
    plain_label,
    read_header,
    read_samples,
)
from rnc_lightning.datasets.signals.recordings import LabelledRecording, RecordingsDataModule
from rnc_lightning.datasets.signals.store import Recording
from rnc_lightning.datasets.signals.windows import RecordingFiles
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.datasets.table_datamodule import UserTableDataModule
from rnc_lightning.system.archives import check_npz
from rnc_lightning.system.errors import UserError, first_line
from rnc_lightning.system.files import check_regular


class SignalsDataModule(UserTableDataModule, RecordingsDataModule):
    """Your own signals (C, T) with one or more labels.

    Args:
        input: Column of the paths, relative to `root`: .npy, .npz or .edf.
        root: Folder that the paths are relative to; null: the folder of the table.
        key: Name of the array in .npz files; null: the first one.
        rate_column: Column of the sampling rates of .npy and .npz files in Hz; null: they already have
            `sampling_rate`. EDF files contain their own.
        match_channels: How the channels of EDF files are matched if `channels` is null: by `label` with those that most
            training files have, or by `position`.
        **others: Arguments of `UserTableDataModule` and `RecordingsDataModule`; `channels` applies to EDF files.

    Raises:
        ValueError: For arguments out of range, or that contradict each other.
    """

    label_dtype = torch.float64  # like the other tables of users

    def __init__(
        self,
        *,
        input: str,
        root: str | None = None,
        key: str | None = None,
        rate_column: str | None = None,
        match_channels: str = "label",
        **others: Any,
    ) -> None:
        super().__init__(**others)
        if match_channels not in ("label", "position"):
            raise ValueError(f"match_channels must be label or position, got {match_channels!r}")
        self.match_channels = match_channels
        if root is not None:
            self.root = Path(root)
        self.input = str(input)
        self.key = key
        self.rate_column = None if rate_column is None else str(rate_column)

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table and the header of every file; what cannot be used becomes a problem."""
        rows, files = self.read_file_rows(self.input, problems)
        self.preparation = None
        rates = self._rates()
        where = [f"{rows.table.where(i)}, {name}" for i, name in enumerate(rows.names)]
        recordings: dict[int, Recording] = {}
        for i, file in enumerate(files):
            try:
                recording = self.recording(file, rates.get(rows.table.frame.index[i]))
            except ValueError as error:
                problems.add("unreadable file", where[i], str(error))
                continue
            if reason := self.unusable_reason(recording):
                problems.add(reason[0], where[i], reason[1])
            else:
                recordings[i] = recording
        self._match_labels(recordings, rows.of("train"), where, problems)
        self._check_channels(recordings, where, problems)
        if self.check_files:
            self._check_values(recordings, [rows.table.where(i) for i in range(len(rows))], problems)
        parts: dict[SplitName, list[LabelledRecording]] = {
            part: [
                LabelledRecording(rows.names[i], recordings[i], rows.targets[i].tolist())
                for i in rows.of(part)
                if i in recordings
            ]
            for part in PARTS
        }
        return self.recording_splits(parts, {"channels": self.channel_names, "key": self.key})

    def _rates(self) -> dict[int, float]:
        """Sampling rate in Hz by row number, if the table has a column of them."""
        if self.rate_column is None:
            return {}
        table = read_table(self.csv, [self.rate_column], form=self.form)
        return dict(zip(table.frame.index.tolist(), table.numbers(self.rate_column).tolist(), strict=True))

    def recording(self, path: Path, rate: float | None = None) -> Recording:
        """A file as a recording; see `RecordingsDataModule`."""
        if path.suffix.lower() == ".edf":
            found = edf_recording(path, self.channel_names)
            check_units(found, (self.preparation or {}).get("units", ()))
            return found
        if self.rate_column is None:
            rate = self.preprocessing.sampling_rate
        if rate is None or not (np.isfinite(rate) and rate > 0):  # None: the row is empty when only this column is read
            raise ValueError(f"{self.rate_column} is not a positive number")
        channels, samples = array_shape(path, self.key)
        return Recording(path, rate, samples, channels, partial(read_array, path, self.key))

    def _match_labels(
        self, recordings: dict[int, Recording], training: Sequence[int], where: Sequence[str], problems: Problems
    ) -> None:
        """Put the channels of every file into the order of the training files; remove the files that lack some."""
        named = {i: one.labels for i, one in recordings.items() if one.labels is not None}
        if self.match_channels == "label" or self.channels is not None:
            fitting = {i: labels for i, labels in named.items() if len(labels) == self.in_channels}
            in_training = [fitting[i] for i in training if i in fitting]
            wanted = self.channels or common_labels(in_training or list(fitting.values()))
            if wanted is not None:
                self._select_channels(recordings, list(named), wanted, where, problems)
        self.note_unnamed_channels(list(recordings.values()))

    def _select_channels(
        self,
        recordings: dict[int, Recording],
        named: Sequence[int],
        wanted: Sequence[str],
        where: Sequence[str],
        problems: Problems,
    ) -> None:
        order = list(map(plain_label, wanted))
        twice = len(set(order)) < len(order)
        units = [""] * len(wanted)
        for i in named:
            try:
                if twice or list(map(plain_label, recordings[i].labels or ())) != order:
                    recordings[i] = edf_recording(recordings[i].path, wanted)
                check_units(recordings[i], units)
            except ValueError as error:
                problems.add("channels that do not match", where[i], f"{error}; data.channels names some")
                del recordings[i]
                continue
            units = [known or unit for known, unit in zip(units, recordings[i].units, strict=True)]
        self.preparation = {"channels": list(wanted), "units": units}

    def _check_channels(self, recordings: dict[int, Recording], where: Sequence[str], problems: Problems) -> None:
        """Remove the signals with another number of channels than the encoder expects.

        Raises:
            UserError: If all have another number.
        """
        counts = Counter(recording.channels for recording in recordings.values())
        if counts and self.in_channels not in counts:
            usual = counts.most_common(1)[0][0]
            raise UserError(
                f"{self.csv}: the signals have {usual} channels, but input.channels is {self.in_channels}: "
                f"set input.channels={usual}"
            )
        for i, recording in list(recordings.items()):
            if recording.channels != self.in_channels:
                detail = f"{recording.channels} channels, input.channels is {self.in_channels}"
                problems.add("other number of channels", where[i], detail)
                del recordings[i]

    def _check_values(self, recordings: dict[int, Recording], where: Sequence[str], problems: Problems) -> None:
        """Remove the signals whose values cannot be read or are not finite."""
        rows = list(recordings)
        checked_as = json.dumps([self.channel_names, self.key]).encode()
        files = RecordingFiles([recordings[i] for i in rows], checked_as)
        bad = find_unreadable(files, self.contents, "signals")
        for position, reason in bad.items():
            recording = recordings.pop(i := rows[position])
            problems.add("unreadable file", f"{where[i]}, {recording.path.name}", reason)


def edf_recording(path: Path, channels: Sequence[str] | None = None) -> Recording:
    """A complete EDF file.

    Args:
        path: The file.
        channels: Names of the channels to take; None takes all.

    Raises:
        ValueError: If its header is broken, or channels are missing or have different sampling rates.
    """
    header = read_header(path)
    indices = find_channels(header.labels, channels) if channels is not None else list(range(len(header.labels)))
    rates = sorted({header.rates[i] for i in indices})
    if len(rates) != 1:
        listed = ", ".join(f"{rate:g} Hz" for rate in rates) or "none"
        raise ValueError(f"channels with different sampling rates ({listed}): choose some of them with data.channels")
    count = header.counts[indices[0]]
    labels = tuple(header.labels[i] for i in indices)
    units = tuple("uV" if microvolts(unit) else unit for unit in (header.units[i] for i in indices))
    return Recording(path, rates[0], count, len(indices), partial(read_samples, path, indices, 0, count), labels, units)


def check_units(recording: Recording, units: Sequence[str]) -> None:
    """Refuse a recording with a channel in another unit than in the other recordings.

    Args:
        recording: Its channels are in the order of `units`, if there are any.
        units: The units of the others; empty where they are unknown.

    Raises:
        ValueError: Names the channel and both units.
    """
    for label, unit, known in zip(recording.labels or (), recording.units, units, strict=False):
        if unit and known and unit != known:
            raise ValueError(f"{label} is in {unit}, but in {known} in other recordings")


def array_shape(path: Path, key: str | None = None) -> tuple[int, int]:
    """Number of channels and of samples of an array in a file; an array with one axis has one channel.

    Raises:
        ValueError: If it is not an array of real numbers (C, T) or (T,).
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
    check_regular(path)
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False)
        if suffix != ".npz":
            raise ValueError(f"a {suffix or 'nameless'} file, not .npy, .npz or .edf")
        check_npz(path, None if key is None else [key])
        with np.load(path, allow_pickle=False) as arrays:
            if not arrays.files:
                raise ValueError("the file has no array")
            if key is not None and key not in arrays.files:
                raise ValueError(f"no array {key}; the file has {', '.join(arrays.files)}")
            return arrays[key or arrays.files[0]]
    except ValueError:
        raise
    except Exception as error:  # a damaged file can raise almost anything
        raise ValueError(first_line(error)) from error
