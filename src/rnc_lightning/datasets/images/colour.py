"""Colour jitter in torchvision's sense: drawn as a few numbers, carried out by OpenCV on one image.

`rnc_lightning.datasets.images.colour_on_device` carries out the same numbers on a batch, on any device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from rnc_lightning.datasets.images.crop import Pixels

cv2.setNumThreads(0)  # worker processes share the cores among themselves


BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
HUE_LEVELS = 255  # a full turn of the hue, as Pillow and so torchvision count it
GREY_WEIGHTS = (0.299, 0.587, 0.114)
COLOUR_NUMBERS = 10  # uniform numbers that one draw uses
MEAN = STD = 0.5  # of every channel, as in the official code
_FLOOR = -0.498  # turns OpenCV's rounding into Pillow's cutting off


class Colour(NamedTuple):
    """What is done to the colours of one view.

    Attributes:
        order: The four operations in the order in which they are done.
        brightness: Factor; 1 leaves the image as it is.
        contrast: Factor; 1 leaves the image as it is.
        saturation: Factor; 1 leaves the image as it is.
        hue: Turn, in 1/255 of a full one.
        grey: Whether the colours are dropped in the end.
    """

    order: tuple[int, ...] = (BRIGHTNESS, CONTRAST, SATURATION, HUE)
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: int = 0
    grey: bool = False

    def numbers(self) -> list[float]:
        """The nine numbers that `batched_colour` takes: order, factors, hue, grey."""
        return [*self.order, self.brightness, self.contrast, self.saturation, self.hue, float(self.grey)]


@dataclass(frozen=True)
class ColourJitter:
    """Chances and strengths, in the sense of torchvision's ColorJitter, RandomApply and RandomGrayscale.

    Attributes:
        jitter: Probability of the jitter.
        brightness: Factors are uniform in [1 - brightness, 1 + brightness], never below 0.
        contrast: The same for the contrast.
        saturation: The same for the saturation.
        hue: Turns are uniform in [-hue, hue], of a full one.
        grayscale: Probability of dropping the colours.

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
        """Turn `COLOUR_NUMBERS` independent numbers in [0, 1) into what is done to one view."""
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


def coloured(image: Pixels, colour: Colour) -> Pixels:
    """Change the colours of one image (H, W, 3) as drawn."""
    factors = (colour.brightness, colour.contrast, colour.saturation)
    for operation in colour.order:
        if operation == HUE:
            image = with_hue(image, colour.hue)
        elif factors[operation] != 1:
            image = _BY_FACTOR[operation](image, factors[operation])
    return greyed(image) if colour.grey else image


def with_brightness(image: Pixels, factor: float) -> Pixels:
    """Multiply by a factor."""
    return _looked_up(image, 0, factor)


def with_contrast(image: Pixels, factor: float) -> Pixels:
    """Move away from (factor above 1) or towards the mean grey."""
    mean = sum(weight * channel for weight, channel in zip(GREY_WEIGHTS, cv2.mean(image), strict=False))
    return _looked_up(image, int(mean + 0.5), factor)


def with_saturation(image: Pixels, factor: float) -> Pixels:
    """Move away from (factor above 1) or towards each pixel's own grey."""
    return np.asarray(cv2.addWeighted(image, factor, greyed(image), 1 - factor, _FLOOR), np.uint8)


def with_hue(image: Pixels, turn: int) -> Pixels:
    """Turn the hue by `turn` / 255 of a full turn."""
    if turn == 0:
        return image
    hsv = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2HSV_FULL), np.uint8)
    hsv[..., 0] += np.uint8(turn % 256)  # wraps around, as it should
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB_FULL), np.uint8)


def greyed(image: Pixels) -> Pixels:
    """Drop the colours, keep three channels."""
    return np.asarray(cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB), np.uint8)


def normalised_into(out: Tensor, image: Pixels) -> None:
    """Write (H, W, 3) into a float tensor (3, H, W) with values in [-1, 1]."""
    values = cv2.LUT(image, _NORMALISED)
    cv2.split(values, list(out.numpy()))


def planes_into(out: Tensor, image: Pixels) -> None:
    """Write (H, W, 3) into a uint8 tensor (3, H, W)."""
    cv2.split(image, list(out.numpy()))


def normalised(pixels: Tensor) -> Tensor:
    """Bring 0 to 255 to [-1, 1], as a new float tensor."""
    return pixels.to(torch.float32, copy=True).mul_(1 / (255 * STD)).sub_(MEAN / STD)


def _factor(strength: float, uniform: float) -> float:
    low, high = max(0.0, 1 - strength), 1 + strength
    return low + uniform * (high - low)


def _looked_up(image: Pixels, centre: int, factor: float) -> Pixels:
    table = centre + np.float32(factor) * (np.arange(256, dtype=np.float32) - np.float32(centre))
    return np.asarray(cv2.LUT(image, np.clip(table, 0, 255).astype(np.uint8)), np.uint8)


_BY_FACTOR = (with_brightness, with_contrast, with_saturation)
_NORMALISED = normalised(torch.arange(256)).numpy()
