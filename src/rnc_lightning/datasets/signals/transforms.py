"""Transforms of signals (C, T). Each factory is a `_target_` in a data set's YAML."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnc_lightning.datasets.transform import Description, Transform


def random_crop(
    window: float,
    sampling_rate: float,
    scale: float = 1.0,
    clip: float | None = None,
    standardise: bool = False,
    noise: float = 0.0,
    channel_dropout: float = 0.0,
) -> Transform:
    """A window at a random position in time, a new one for each view.

    Args:
        window: Length of the window in seconds.
        sampling_rate: Sampling rate in Hz.
        scale: All values are divided by it; fixed, because the amplitude may depend on the target.
        clip: Values are clipped to [-clip, clip] before the division; None: no clipping.
        standardise: Whether each channel of the window is then scaled to mean 0 and standard deviation 1.
        noise: Standard deviation of additive Gaussian noise, after the scaling; 0: none.
        channel_dropout: Probability that a channel is set to 0; 0: none.

    Returns:
        A function from an array (C, T) to a float32 tensor (C, window * sampling_rate).

    Raises:
        ValueError: For an argument out of its range; the function raises it for a signal shorter than the window.
    """
    values = _Values(scale, clip, standardise)
    length = _length(window, sampling_rate)
    if noise < 0 or not 0 <= channel_dropout < 1:
        raise ValueError(f"noise must be 0 or more and channel_dropout in [0, 1), got {noise} and {channel_dropout}")
    return _RandomCrop(length, values, noise, channel_dropout)


def local_crop(window: float, sampling_rate: float, share: float = 1 / 3, **more: Any) -> Transform:
    """A shorter window in addition to those of `random_crop`.

    Args:
        window: Length of the other windows in seconds.
        sampling_rate: Sampling rate in Hz.
        share: Length of this window as a fraction of the others.
        **more: Further arguments of `random_crop`.

    Raises:
        ValueError: For a share outside (0, 1], and as `random_crop`.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    return random_crop(window * share, sampling_rate, **more)


def centred_crop(
    window: float, sampling_rate: float, scale: float = 1.0, clip: float | None = None, standardise: bool = False
) -> Transform:
    """The window in the middle of a signal. Arguments as in `random_crop`."""
    return _CentredCrop(_length(window, sampling_rate), _Values(scale, clip, standardise))


@dataclass(frozen=True)
class _Values:
    """Converts samples to the encoder's input values."""

    scale: float
    clip: float | None
    standardise: bool

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip must be positive or null, got {self.clip}")

    @property
    def words(self) -> str:
        """The conversion as a sentence."""
        clipped = f"clipped to +-{self.clip:g}, " if self.clip is not None else ""
        standardised = ", then each channel of a window scaled to mean 0 and deviation 1" if self.standardise else ""
        return f"Values {clipped}divided by {self.scale:g}{standardised}."

    def __call__(self, window: np.ndarray) -> Tensor:
        x = torch.from_numpy(np.array(window, dtype=np.float32))  # a copy, since the array may be memory-mapped
        if self.clip is not None:
            x = x.clamp(-self.clip, self.clip)
        x = x / self.scale
        if self.standardise:
            x = (x - x.mean(dim=1, keepdim=True)) / x.std(dim=1, correction=0, keepdim=True).clamp(min=1e-6)
        return x


@dataclass(frozen=True)
class _RandomCrop:
    length: int
    values: _Values
    noise: float
    channel_dropout: float

    def __call__(self, signal: np.ndarray) -> Tensor:
        first = int(torch.randint(_last_start(signal, self.length) + 1, ()))
        x = self.values(signal[:, first : first + self.length])
        if self.noise:
            x = x + self.noise * torch.randn_like(x)
        if self.channel_dropout:
            x = x * (torch.rand(len(x), 1) >= self.channel_dropout)
        return x


@dataclass(frozen=True)
class _CentredCrop:
    length: int
    values: _Values

    def describe(self) -> Description:
        """Length, scaling and clipping."""
        return Description({"samples": self.length, **asdict(self.values)}, self.values.words)

    def __call__(self, signal: np.ndarray) -> Tensor:
        first = _last_start(signal, self.length) // 2
        return self.values(signal[:, first : first + self.length])


def _length(window: float, sampling_rate: float) -> int:
    length = round(window * sampling_rate)
    if length < 1:
        raise ValueError(f"window must be at least one sample, got {window} s at {sampling_rate} Hz")
    return length


def _last_start(signal: np.ndarray, length: int) -> int:
    if length > signal.shape[1]:
        raise ValueError(f"a window of {length} samples does not fit into a signal of {signal.shape[1]}")
    return signal.shape[1] - length
