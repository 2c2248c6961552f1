"""EEG recordings in EDF files, read by edfio: header, channels by name, samples."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np

from rnc_lightning.system.errors import UserError

_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "nv": 1e-3}  # the micro sign and the Greek mu


@dataclass(frozen=True)
class EdfHeader:
    """What an EDF file says of itself, annotations left out.

    Attributes:
        patient: The field of the local patient identification.
        labels: C channel names as written, such as `EEG FP1-REF`.
        units: C physical units as written.
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
        """Age in years as the corpora of Temple University write it, None if it is absent."""
        return age_of(self.patient)

    @property
    def sex(self) -> Literal["F", "M"] | None:
        """Sex, None if it is absent or withheld (X)."""
        return sex_of(self.patient)


def age_of(patient: str) -> float | None:
    """Age in years from a patient field, None if it is absent.

    >>> age_of("aaaaaaaq M 01-JAN-1980 aaaaaaaq Age:37"), age_of("aaaaaaaq M 01-JAN-1980 aaaaaaaq")
    (37.0, None)
    """
    found = re.search(r"\bAge:\s*(\d+(?:\.\d+)?)", patient)
    return None if found is None else float(found[1])


def sex_of(patient: str) -> Literal["F", "M"] | None:
    """Sex from a patient field, None if it is absent or withheld (X)."""
    found = re.search(r"\s([FM])\s", patient)
    if found is None:
        return None
    return "F" if found[1] == "F" else "M"


def read_header(path: Path) -> EdfHeader:
    """Read an EDF file's header, and compare the file's size with it; no sample is read.

    Raises:
        UserError: Without edfio.
        ValueError: If it is no EDF header, contradicts itself, or the file is shorter than it says.
    """
    edfio = _edfio()
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
            raise ValueError(f"its length {length} does not fit {count} signals")
        if count < 1 or records < 1 or not 0 < seconds < float("inf"):
            raise ValueError(f"{records} records of {seconds:g} s with {count} signals")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # edfio shortens `num_data_records` to what the file holds
            edf = edfio.read_edf(path, header_encoding="latin-1")
        signals = edf.signals
        for signal in signals:
            for low, high in (signal.physical_range, signal.digital_range):
                if not abs(high - low) > 0:
                    raise ValueError(f"the range of {signal.label} is {low:g} to {high:g}")
            if signal.samples_per_data_record < 1:
                raise ValueError(f"{signal.label} has {signal.samples_per_data_record} samples a record")
    except Exception as error:  # a damaged file can bring up almost anything
        raise ValueError(f"broken EDF header: {error}") from error
    if edf.num_data_records < records:
        raise ValueError(f"cut short: {edf.num_data_records:,} records of {records:,}")
    if not signals:
        raise ValueError("no signal in it")
    return EdfHeader(
        patient=edf.local_patient_identification.strip(),
        labels=tuple(signal.label.strip() for signal in signals),
        units=tuple(signal.physical_dimension.strip() for signal in signals),
        rates=tuple(signal.sampling_frequency for signal in signals),
        counts=tuple(signal.samples_per_data_record * records for signal in signals),
    )


def find_channels(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where the wanted channels are, by name, in the order wanted.

    Case, the prefix `EEG` and the suffixes of the reference (`-REF`, `-LE`) do not matter.

    Raises:
        ValueError: If some are missing, or there more than once.

    >>> find_channels(["EEG EKG1-REF", "EEG O1-REF", "EEG FP1-REF"], ["FP1", "O1"])
    [2, 1]
    """
    places: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        places.setdefault(_plain(label), []).append(i)
    if missing := [name for name in wanted if _plain(name) not in places]:
        raise ValueError(f"no channel {', '.join(missing)}")
    if twice := [name for name in wanted if len(places[_plain(name)]) > 1]:
        raise ValueError(f"more than one channel {', '.join(twice)}")
    return [places[_plain(name)][0] for name in wanted]


def microvolts(unit: str) -> float | None:
    """Microvolts in one of a unit, None if it is no voltage.

    >>> microvolts("mV"), microvolts("mmHg")
    (1000.0, None)
    """
    return _MICROVOLTS.get(unit.strip().lower())


def used_samples(count: int, rate: float, start: float = 0.0, duration: float | None = None) -> tuple[int, int]:
    """First sample and the one after the last of `duration` seconds from `start`, within what there is.

    >>> used_samples(1000, 250.0, start=1.0, duration=2.0), used_samples(1000, 250.0, start=3.0, duration=2.0)
    ((250, 750), (750, 1000))
    """
    first = min(count, round(start * rate))
    return first, count if duration is None else min(count, round((start + duration) * rate))


def read_samples(path: Path, channels: Sequence[int], first: int, last: int) -> np.ndarray:
    """Samples `first` to `last - 1` of some channels, as (C, last - first) float64.

    Voltages are in microvolts, other quantities in the file's unit.

    Raises:
        UserError: Without edfio.
        ValueError: If the file cannot be read.
    """
    edfio = _edfio()
    try:
        signals = edfio.read_edf(path, header_encoding="latin-1").signals
        chosen = [signals[i] for i in channels]
        return np.stack(
            [
                signal.get_data_slice(first / signal.sampling_frequency, last / signal.sampling_frequency)
                * (microvolts(signal.physical_dimension) or 1.0)
                for signal in chosen
            ]
        )
    except (OSError, IndexError) as error:
        raise ValueError(str(error)) from error


def _plain(label: str) -> str:
    return re.sub(r"-(REF|LE)$", "", re.sub(r"^EEG\s+", "", label.strip().upper()))


def _edfio() -> ModuleType:
    try:
        import edfio
    except ImportError as error:
        raise UserError("EDF files need edfio: pip install 'rnc-lightning[eeg]'") from error
    return edfio
