"""Colour jitter as defined by torchvision: drawn as a few numbers, applied to one image with OpenCV.

`rnc_lightning.datasets.images.colour_on_device` applies the same numbers to a batch, on any device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from rnc_lightning.datasets.images.crop import Pixels

cv2.setNumThreads(0)  # worker processes already use all cores

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
HUE_LEVELS = 255  # a full turn of the hue, as Pillow and so torchvision count it
GREY_WEIGHTS = (0.299, 0.587, 0.114)
COLOUR_NUMBERS = 10  # uniform random numbers per draw
MEAN = STD = 0.5  # of every channel, as in the official code
_FLOOR = -0.498  # makes OpenCV round down as Pillow does


class Colour(NamedTuple):
    """The colour changes of one view.

    Attributes:
        order: The four operations in the order in which they are applied.
        brightness: Factor; 1 changes nothing.
        contrast: Factor; 1 changes nothing.
        saturation: Factor; 1 changes nothing.
        hue: Rotation of the hue, in 1/255 of a full turn.
        grey: Whether the image is converted to grey at the end.
    """

    order: tuple[int, ...] = (BRIGHTNESS, CONTRAST, SATURATION, HUE)
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: int = 0
    grey: bool = False

    def numbers(self) -> list[float]:
        """The nine numbers for `colour_on_device`: order, factors, hue, grey."""
        return [*self.order, self.brightness, self.contrast, self.saturation, self.hue, float(self.grey)]


@dataclass(frozen=True)
class ColourJitter:
    """Probabilities and strengths, as in torchvision's ColorJitter, RandomApply and RandomGrayscale.

    Attributes:
        jitter: Probability of the jitter.
        brightness: Factors are uniform in [1 - brightness, 1 + brightness], never below 0.
        contrast: The same for the contrast.
        saturation: The same for the saturation.
        hue: Rotations are uniform in [-hue, hue], as a fraction of a full turn.
        grayscale: Probability of conversion to grey.

    Raises:
        ValueError: For a probability outside [0, 1], a negative strength or a hue above 0.5.
    """

    jitter: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    grayscale: float

    def __post_init__(self) -> None:
        for name, high in (("jitter", 1.0), ("hue", 0.5), ("grayscale", 1.0)):
            if not 0 <= getattr(self, name) <= high:
                raise ValueError(f"{name} must be between 0 and {high:g}, got {getattr(self, name)}")
        for name in ("brightness", "contrast", "saturation"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")

    def draw(self, uniform: Sequence[float]) -> Colour:
        """Turn `COLOUR_NUMBERS` independent numbers in [0, 1) into the colour changes of one view."""
        grey = uniform[1] < self.grayscale
        if uniform[0] >= self.jitter:
            return Colour(grey=grey)
        keys = uniform[6:10]
        return Colour(
            tuple(sorted(range(4), key=keys.__getitem__)),
            _factor(self.brightness, uniform[2]),
            _factor(self.contrast, uniform[3]),
            _factor(self.saturation, uniform[4]),
            int(self.hue * (2 * uniform[5] - 1) * HUE_LEVELS),
            grey,
        )


def apply_colour(image: Pixels, colour: Colour) -> Pixels:
    """Apply colour changes to one image (H, W, 3)."""
    factors = (colour.brightness, colour.contrast, colour.saturation)
    for operation in colour.order:
        if operation == HUE:
            image = with_hue(image, colour.hue)
        elif factors[operation] != 1:
            image = _BY_FACTOR[operation](image, factors[operation])
    return to_grey(image) if colour.grey else image


def with_brightness(image: Pixels, factor: float) -> Pixels:
    """Multiply by a factor."""
    return _apply_table(image, 0, factor)


def with_contrast(image: Pixels, factor: float) -> Pixels:
    """Move away from the mean grey (factor above 1) or towards it."""
    mean = sum(weight * channel for weight, channel in zip(GREY_WEIGHTS, cv2.mean(image), strict=False))
    return _apply_table(image, int(mean + 0.5), factor)


def with_saturation(image: Pixels, factor: float) -> Pixels:
    """Move away from each pixel's grey value (factor above 1) or towards it."""
    return np.asarray(cv2.addWeighted(image, factor, to_grey(image), 1 - factor, _FLOOR), np.uint8)


def with_hue(image: Pixels, turn: int) -> Pixels:
    """Rotate the hue by `turn` / 255 of a full turn."""
    if turn == 0:
        return image
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    hsv[..., 0] += np.uint8(turn % 256)  # is meant to wrap around
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def to_grey(image: Pixels) -> Pixels:
    """Convert to grey, keeping three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def write_normalised(out: Tensor, image: Pixels) -> None:
    """Write (H, W, 3) into a float tensor (3, H, W) with values in [-1, 1]."""
    values = cv2.LUT(image, _NORMALISED)
    cv2.split(values, list(out.numpy()))


def write_planes(out: Tensor, image: Pixels) -> None:
    """Write (H, W, 3) into a uint8 tensor (3, H, W)."""
    cv2.split(image, list(out.numpy()))


def normalise(pixels: Tensor) -> Tensor:
    """Scale 0..255 to [-1, 1], as a new float tensor."""
    return pixels.to(torch.float32, copy=True).mul_(1 / (255 * STD)).sub_(MEAN / STD)


def _factor(strength: float, uniform: float) -> float:
    low, high = max(0.0, 1 - strength), 1 + strength
    return low + uniform * (high - low)


def _apply_table(image: Pixels, centre: int, factor: float) -> Pixels:
    table = centre + np.float32(factor) * (np.arange(256, dtype=np.float32) - np.float32(centre))
    return np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)), np.uint8)


_BY_FACTOR = (with_brightness, with_contrast, with_saturation)
_NORMALISED = normalise(torch.arange(256)).numpy()
