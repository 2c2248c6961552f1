"""Band-pass filtering and resampling of recordings."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy.signal import butter, resample_poly, sosfilt

_HIGH_PASS_ORDER, _LOW_PASS_ORDER = 4, 8  # Butterworth; each is applied forwards and backwards


@dataclass(frozen=True)
class Preprocessing:
    """Filters a recording at its own sampling rate, then resamples it.

    The filters are Butterworth high pass (order 4) and low pass (order 8), applied forwards and backwards, so that
    there is no shift in time; amplitudes are halved at the edges of the band. The resampling is polyphase with its own
    anti-aliasing filter.

    Attributes:
        sampling_rate: Sampling rate of the result in Hz.
        low: Lower edge of the band in Hz; None keeps slow waves and the offset.
        high: Upper edge of the band in Hz; None: limited only by the resampling.
    """

    sampling_rate: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if not self.sampling_rate > 0:
            raise ValueError(f"sampling_rate must be positive, got {self.sampling_rate}")
        for name, edge in (("low", self.low), ("high", self.high)):
            if edge is not None and not 0 < edge < self.sampling_rate / 2:
                raise ValueError(f"{name} must be between 0 and half the sampling rate, or null, got {edge}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")

    def __call__(self, samples: np.ndarray, rate: float) -> np.ndarray:
        """Samples (C, T) at `rate` Hz to (C, length(T, rate)) float32.

        Raises:
            ValueError: If the rate is too low for the band.
        """
        filtered = band(samples, rate, self.low, self.high)
        return resample(filtered, rate, self.sampling_rate).astype(np.float32)

    def length(self, count: int, rate: float) -> int:
        """The number of samples that result from `count` samples at `rate` Hz.

        >>> Preprocessing(200.0).length(1001, 250.0)
        801
        """
        ratio = _ratio(rate, self.sampling_rate)
        return -(-count * ratio.numerator // ratio.denominator)

    def unusable_reason(self, rate: float) -> str | None:
        """Why a recording at `rate` Hz cannot be used; None if it can."""
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
    # The mean is removed, the filter starts at rest, and the ends are mirrored. SciPy's sosfiltfilt starts as if the
    # first value had always been there, so that a wave cut at its crest drifts for seconds.
    mean = samples.mean(axis=1, keepdims=True)
    padding = min(samples.shape[1] - 1, round(3 * rate / (low or high or rate)))  # three periods of the slowest wave
    padded = np.pad(samples - mean, ((0, 0), (padding, padding)), mode="reflect")
    sections = np.vstack(stages)
    forwards = sosfilt(sections, padded, axis=1)
    both = sosfilt(sections, forwards[:, ::-1], axis=1)[:, ::-1]
    filtered: np.ndarray = both[:, padding : padding + samples.shape[1]]
    return filtered if low is not None else filtered + mean


def resample(samples: np.ndarray, rate: float, wanted: float) -> np.ndarray:
    """Resample (C, T) from `rate` Hz to `wanted` Hz."""
    ratio = _ratio(rate, wanted)
    if ratio == 1:
        return samples
    return resample_poly(samples, ratio.numerator, ratio.denominator, axis=1, padtype="mean")


def _ratio(rate: float, wanted: float) -> Fraction:
    return (Fraction(wanted) / Fraction(rate)).limit_denominator(10_000)
