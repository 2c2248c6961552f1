"""EEG recordings in EDF files, read by edfio: header, channels by name, samples."""

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import check_regular

_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "nv": 1e-3}  # the micro sign and the Greek mu


@dataclass(frozen=True)
class EdfHeader:
    """The header of an EDF file, without annotation channels.

    Attributes:
        patient: The local patient identification.
        labels: C channel names as in the file, such as `EEG FP1-REF`.
        units: C physical units as in the file.
        rates: C sampling rates in Hz.
        counts: C numbers of samples.
    """

    patient: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    rates: tuple[float, ...]
    counts: tuple[int, ...]

    @property
    def age(self) -> float | None:
        """Age in years, in the notation of Temple University's corpora (`Age:37`); None if absent."""
        match = re.search(r"\bAge:\s*(\d+(?:\.\d+)?)", self.patient)
        return None if match is None else float(match[1])

    @property
    def sex(self) -> str | None:
        """`F` or `M`; None if absent or withheld (X)."""
        match = re.search(r"\s([FM])\s", self.patient)
        return None if match is None else match[1]


def read_header(path: Path) -> EdfHeader:
    """Read an EDF file's header and compare it with the file's size; no samples are read.

    Raises:
        UserError: If edfio is not installed.
        ValueError: If it is not a valid EDF header, no regular file, or the file is shorter than the header says.
    """
    edfio = _edfio()
    check_regular(path)
    try:
        with path.open("rb") as file:
            start = file.read(256)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    if len(start) < 256 or start[:8].strip() != b"0":
        raise ValueError("no EDF header")
    if start[192:197] == b"EDF+D":
        raise ValueError("recording with gaps (EDF+D)")
    try:
        length, records, seconds = int(start[184:192]), int(start[236:244]), float(start[244:252])
        count = int(start[252:256])
        if length != 256 * (count + 1):
            raise ValueError(f"a header of {length} bytes does not match {count} signals")
        if count < 1 or records < 1 or not 0 < seconds < float("inf"):
            raise ValueError(f"{records} records of {seconds:g} s with {count} signals")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # edfio reduces `num_data_records` to those in the file
            edf = edfio.read_edf(path, header_encoding="latin-1")
        signals = edf.signals
        for signal in signals:
            for low, high in (signal.physical_range, signal.digital_range):
                if not abs(high - low) > 0:
                    raise ValueError(f"the range of {signal.label} is {low:g} to {high:g}")
            if signal.samples_per_data_record < 1:
                raise ValueError(f"{signal.label} has {signal.samples_per_data_record} samples per record")
    except Exception as error:  # a damaged file can raise almost anything
        raise ValueError(f"broken EDF header: {error}") from error
    if edf.num_data_records < records:
        raise ValueError(f"truncated: {edf.num_data_records:,} of {records:,} records")
    if not signals:
        raise ValueError("no signals in the file")
    return EdfHeader(
        patient=edf.local_patient_identification.strip(),
        labels=tuple(signal.label.strip() for signal in signals),
        units=tuple(signal.physical_dimension.strip() for signal in signals),
        rates=tuple(signal.sampling_frequency for signal in signals),
        counts=tuple(signal.samples_per_data_record * records for signal in signals),
    )


def find_channels(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """The indices of the wanted channels, found by name.

    Case, the prefix `EEG` and the suffix for the reference (`-REF`, `-LE`) are ignored.

    Raises:
        ValueError: If a channel is missing or occurs more than once.

    >>> find_channels(["EEG EKG1-REF", "EEG O1-REF", "EEG FP1-REF"], ["FP1", "O1"])
    [2, 1]
    """
    indices: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        indices.setdefault(plain_label(label), []).append(i)
    if missing := [name for name in wanted if plain_label(name) not in indices]:
        raise ValueError(f"no channel {', '.join(missing)}; the file has {', '.join(labels)}")
    if twice := [name for name in wanted if len(indices[plain_label(name)]) > 1]:
        raise ValueError(f"more than one channel {', '.join(name or '(without a name)' for name in twice)}")
    return [indices[plain_label(name)][0] for name in wanted]


def common_labels(files: Sequence[Sequence[str]]) -> tuple[str, ...] | None:
    """The channels that most files have, in the order of the first file with them; None without files.

    >>> common_labels([["EEG C3-REF", "C4"], ["C4", "C3"], ["EKG", "C3"]])
    ('EEG C3-REF', 'C4')
    """
    first: dict[tuple[str, ...], tuple[str, ...]] = {}
    counts: Counter[tuple[str, ...]] = Counter()
    for labels in files:
        key = tuple(sorted(map(plain_label, labels)))
        counts[key] += 1
        first.setdefault(key, tuple(labels))
    return first[counts.most_common(1)[0][0]] if counts else None


def microvolts(unit: str) -> float | None:
    """The number of microvolts in one unit, None if the unit is not a voltage.

    >>> microvolts("mV"), microvolts("mmHg")
    (1000.0, None)
    """
    return _MICROVOLTS.get(unit.strip().lower())


def used_samples(count: int, rate: float, start: float = 0.0, duration: float | None = None) -> tuple[int, int]:
    """The range (first, last + 1) of the samples in `duration` seconds from `start`, limited to the recording.

    >>> used_samples(1000, 250.0, start=1.0, duration=2.0), used_samples(1000, 250.0, start=3.0, duration=2.0)
    ((250, 750), (750, 1000))
    """
    first = min(count, round(start * rate))
    return first, count if duration is None else min(count, round((start + duration) * rate))


def read_samples(path: Path, channels: Sequence[int], first: int, last: int) -> np.ndarray:
    """Samples `first` to `last - 1` of some channels, as (C, last - first) float64.

    Voltages are in microvolts, other quantities in the file's unit.

    Raises:
        UserError: If edfio is not installed.
        ValueError: If the file cannot be read.
    """
    edfio = _edfio()
    try:
        signals = edfio.read_edf(path, header_encoding="latin-1").signals
        return np.stack(
            [
                signal.get_data_slice(first / signal.sampling_frequency, last / signal.sampling_frequency)
                * (microvolts(signal.physical_dimension) or 1.0)
                for signal in [signals[i] for i in channels]
            ]
        )
    except (OSError, IndexError) as error:
        raise ValueError(str(error)) from error


def plain_label(label: str) -> str:
    """A channel's name without what `find_channels` ignores.

    >>> plain_label("EEG Fp1-REF")
    'FP1'
    """
    return re.sub(r"-(REF|LE)$", "", re.sub(r"^EEG\s+", "", label.strip().upper()))


def _edfio() -> ModuleType:
    try:
        import edfio
    except ImportError as error:
        raise UserError("EDF files need edfio: pip install 'rnc-lightning[eeg]'") from error
    return edfio
