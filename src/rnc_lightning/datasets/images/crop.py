"""Random crops of images: drawing a box, and resizing its pixels as torchvision does."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

_ATTEMPTS = 10  # as in torchvision: after this many boxes that do not fit, the central one is used
_LOG_RATIO = (math.log(3 / 4), math.log(4 / 3))
CROP_NUMBERS = 2 * _ATTEMPTS + 2  # uniform random numbers per draw
Pixels = NDArray[np.uint8]


class Crop(NamedTuple):
    """A box in pixels."""

    left: int
    top: int
    width: int
    height: int


def draw_crop(width: int, height: int, min_scale: float, uniform: Sequence[float], max_scale: float = 1.0) -> Crop:
    """Draw a box of random area and aspect ratio, with the distribution of torchvision's RandomResizedCrop.

    Args:
        width: Width of the image.
        height: Height of the image.
        min_scale: Smallest fraction of the image's area.
        uniform: `CROP_NUMBERS` independent numbers in [0, 1).
        max_scale: Largest fraction of the image's area.

    >>> draw_crop(400, 300, 0.2, [0.5] * CROP_NUMBERS)
    Crop(left=66, top=16, width=268, height=268)
    """
    low, high = _LOG_RATIO
    for attempt in range(_ATTEMPTS):
        area = width * height * (min_scale + uniform[2 * attempt] * (max_scale - min_scale))
        ratio = math.exp(low + uniform[2 * attempt + 1] * (high - low))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return Crop(int(uniform[-2] * (width - w + 1)), int(uniform[-1] * (height - h + 1)), w, h)
    ratio = min(max(width / height, math.exp(low)), math.exp(high))
    w, h = min(width, round(height * ratio)), min(height, round(width / ratio))
    return Crop((width - w) // 2, (height - h) // 2, w, h)


def resized_crop(image: Pixels, crop: Crop, size: int) -> Pixels:
    """Cut out a box and resize it to a square (size, size, 3): bilinear, with antialiasing.

    Args:
        image: (H, W, 3).
        crop: A box inside the image.
        size: Side of the output in pixels.
    """
    left, top, width, height = crop
    cropped = image[top : top + height, left : left + width].copy()  # torch takes twice as long on a view of an array
    batch = torch.from_numpy(cropped)[None].permute(0, 3, 1, 2)
    resized = F.interpolate(batch, (size, size), mode="bilinear", antialias=True)
    return np.ascontiguousarray(resized[0].permute(1, 2, 0).numpy())


def mirror(image: Pixels) -> Pixels:
    """Swap left and right of (H, W, 3)."""
    return np.asarray(cv2.flip(image, 1), np.uint8)
