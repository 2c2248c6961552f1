"""EEG recordings in EDF files: header, channels by name, samples.

An EDF file has a header of ASCII fields of fixed width, then records in which the signals take turns as int16.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np

from rnc_lightning.system.errors import UserError

_ANNOTATIONS = "EDF Annotations"  # a signal of texts in EDF+, no signal at all


_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "nv": 1e-3}  # the micro sign and the Greek mu


_WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # of a signal's fields, label to reserved; each field for all signals


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
        """Age in years as the corpora of Temple University write it, None where it is absent."""
        return age_of(self.patient)

    @property
    def sex(self) -> Literal["F", "M"] | None:
        """Sex, None where it is absent or withheld (X)."""
        return sex_of(self.patient)


def age_of(patient: str) -> float | None:
    """Age in years from a patient field, None where it is absent.

    >>> age_of("aaaaaaaq M 01-JAN-1980 aaaaaaaq Age:37"), age_of("aaaaaaaq M 01-JAN-1980 aaaaaaaq")
    (37.0, None)
    """
    found = re.search(r"\bAge:\s*(\d+(?:\.\d+)?)", patient)
    return None if found is None else float(found[1])


def sex_of(patient: str) -> Literal["F", "M"] | None:
    """Sex from a patient field, None where it is absent or withheld (X)."""
    found = re.search(r"\s([FM])\s", patient)
    if found is None:
        return None
    return "F" if found[1] == "F" else "M"


def read_header(path: Path) -> EdfHeader:
    """Read an EDF file's header, and compare the file's size with it; no sample is read.

    Raises:
        ValueError: Where it is no EDF header, contradicts itself, or the file is shorter than it says.
    """
    try:
        with path.open("rb") as file:
            fixed = file.read(256)
            if len(fixed) < 256 or fixed[:8].strip() != b"0":
                raise ValueError("no EDF header")
            signals = _whole(fixed[252:256], "number of signals")
            if not 0 < signals < 10_000:
                raise ValueError(f"broken EDF header: {signals} signals")
            fields = _signal_fields(file.read(256 * signals), signals)
        size = path.stat().st_size
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error
    records, seconds = _whole(fixed[236:244], "number of records"), _number(fixed[244:252], "length of a record")
    if fixed[192:197] == b"EDF+D":
        raise ValueError("recording with gaps (EDF+D)")
    if records < 1:
        raise ValueError(f"broken EDF header: {records} records")
    if _whole(fixed[184:192], "its own length") != 256 * (signals + 1):
        raise ValueError(f"broken EDF header: its length does not fit {signals} signals")
    samples = [_whole(field, "samples of a record") for field in fields[8]]
    labels = [_text(field) for field in fields[0]]
    kept = [i for i, label in enumerate(labels) if label != _ANNOTATIONS]
    if not kept:
        raise ValueError("no signal in it")
    if min(samples) < 0 or any(samples[i] < 1 for i in kept) or not seconds > 0:
        raise ValueError(f"broken EDF header: records of {seconds:g} s with {min(samples)} samples")
    for i in kept:
        for low, high, what in ((fields[3], fields[4], "physical"), (fields[5], fields[6], "digital")):
            if _number(low[i], f"{what} minimum") == _number(high[i], f"{what} maximum"):
                raise ValueError(f"broken EDF header: the {what} range of {labels[i]} is empty")
    told = 256 * (signals + 1) + 2 * records * sum(samples)
    if size < told:
        raise ValueError(f"cut short: {size:,} bytes of {told:,}")
    return EdfHeader(
        patient=_text(fixed[8:88]),
        labels=tuple(labels[i] for i in kept),
        units=tuple(_text(fields[2][i]) for i in kept),
        rates=tuple(samples[i] / seconds for i in kept),
        counts=tuple(samples[i] * records for i in kept),
    )


def pick(labels: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where the wanted channels are, by name, in the order wanted.

    Case, the prefix `EEG` and the suffixes of the reference (`-REF`, `-LE`) do not matter.

    Raises:
        ValueError: Where some are missing, or there more than once.

    >>> pick(["EEG EKG1-REF", "EEG O1-REF", "EEG FP1-REF"], ["FP1", "O1"])
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
    """Microvolts in one of a unit, None where it is no voltage.

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
        ValueError: Where the file cannot be read.
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


def _signal_fields(content: bytes, signals: int) -> list[list[bytes]]:
    if len(content) < 256 * signals:
        raise ValueError("EDF header cut short")
    fields, place = [], 0
    for width in _WIDTHS:
        fields.append([content[place + i * width : place + (i + 1) * width] for i in range(signals)])
        place += signals * width
    return fields


def _text(field: bytes) -> str:
    return field.decode("latin-1").strip()


def _number(field: bytes, what: str) -> float:
    try:
        number = float(_text(field))
    except ValueError:
        number = float("nan")
    if not np.isfinite(number):
        raise ValueError(f"broken EDF header: {what} is {_text(field)!r}")
    return number


def _whole(field: bytes, what: str) -> int:
    number = _number(field, what)
    if number != int(number):
        raise ValueError(f"broken EDF header: {what} is {_text(field)!r}")
    return int(number)


def _edfio() -> ModuleType:
    try:
        import edfio
    except ImportError as error:
        raise UserError("EDF files need edfio: pip install 'rnc-lightning[eeg]'") from error
    return edfio
