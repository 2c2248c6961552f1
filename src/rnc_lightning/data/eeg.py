"""EEG recordings in EDF files: header, channels by name, band and sampling rate.

An EDF file has a header of ASCII fields of fixed width, then records in which the signals take turns as int16.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
from scipy.signal import butter, resample_poly, sosfilt

from rnc_lightning.errors import UserError

_ANNOTATIONS = "EDF Annotations"  # a signal of texts in EDF+, no signal at all
_MICROVOLTS = {"v": 1e6, "mv": 1e3, "uv": 1.0, "µv": 1.0, "μv": 1.0, "nv": 1e-3}  # the micro sign and the Greek mu
_WIDTHS = (16, 80, 8, 8, 8, 8, 8, 80, 8, 32)  # of a signal's fields, label to reserved; each field for all signals
_HIGH_PASS_ORDER, _LOW_PASS_ORDER = 4, 8  # Butterworth; each is run forwards and backwards


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


@dataclass(frozen=True)
class Preprocessing:
    """Band and sampling rate, in this order: filtered at the file's own rate, then resampled.

    The band's filters are Butterworth high pass (order 4) and low pass (order 8), run forwards and backwards, so that
    they shift nothing in time; at its edges an amplitude is halved. The resampling is polyphase with its own filter
    against aliasing.

    Attributes:
        sampling_rate: Hz of what comes out.
        low: Lower edge of the band in Hz; None keeps slow waves and the offset.
        high: Upper edge of the band in Hz; None leaves it to the resampling.
    """

    sampling_rate: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not self.sampling_rate > 0:
            raise ValueError(f"sampling_rate must be positive, got {self.sampling_rate}")
        for name, edge in (("low", self.low), ("high", self.high)):
            if edge is not None and not 0 < edge < self.sampling_rate / 2:
                raise ValueError(f"{name} must lie between 0 and half the sampling rate, or be null, got {edge}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")

    def __call__(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """Samples (C, T) at `rate` Hz to (C, length(T, rate)) float32.

        Raises:
            ValueError: Where the rate is too low for the band.
        """
        filtered = band(samples, rate, self.low, self.high)
        return resample(filtered, rate, self.sampling_rate).astype(np.float32)

    def length(self, count: int, rate: float) -> int:
        """How many samples come out of `count` at `rate` Hz.

        >>> Preprocessing(200.0).length(1001, 250.0)
        801
        """
        ratio = _ratio(rate, self.sampling_rate)
        return -(-count * ratio.numerator // ratio.denominator)

    def refusal(self, rate: float) -> str | None:
        """Why a recording at `rate` Hz cannot be used; None where it can."""
        edge = max(self.low or 0.0, self.high or 0.0)
        if edge >= rate / 2:
            return f"{rate:g} Hz is too low a sampling rate for a band up to {edge:g} Hz"
        if 100 * rate < self.sampling_rate:
            return f"{rate:g} Hz is less than a hundredth of {self.sampling_rate:g} Hz"
        return None


def band(samples: np.ndarray, rate: float, low: float | None, high: float | None) -> np.ndarray:
    """Keep the frequencies from `low` to `high` Hz of (C, T), without a shift in time."""
    stages = []
    if low is not None:
        stages.append(butter(_HIGH_PASS_ORDER, low, "highpass", fs=rate, output="sos"))
    if high is not None:
        stages.append(butter(_LOW_PASS_ORDER, high, "lowpass", fs=rate, output="sos"))
    if not stages:
        return samples
    # Around the mean, from rest, and mirrored at the ends: SciPy's sosfiltfilt starts from the state that the first
    # value would lead to if it had always been so, and a wave that is cut at its crest then drifts for seconds.
    mean = samples.mean(axis=1, keepdims=True)
    around = samples - mean
    padding = min(samples.shape[1] - 1, round(3 * rate / (low or high or rate)))  # three of the slowest waves
    padded = np.pad(around, ((0, 0), (padding, padding)), mode="reflect")
    sections = np.vstack(stages)
    forwards = sosfilt(sections, padded, axis=1)
    both = sosfilt(sections, forwards[:, ::-1], axis=1)[:, ::-1]
    filtered: np.ndarray = both[:, padding : padding + samples.shape[1]]
    return filtered if low is not None else filtered + mean


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Samples (C, T) at `rate` Hz to `wanted` Hz."""
    ratio = _ratio(rate, wanted)
    if ratio == 1:
        return samples
    return resample_poly(samples, ratio.numerator, ratio.denominator, axis=1, padtype="mean")  # around it


def _ratio(rate: float, wanted: float) -> Fraction:
    return (Fraction(wanted) / Fraction(rate)).limit_denominator(10_000)


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
