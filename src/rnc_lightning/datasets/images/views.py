"""Views of an image: finished ones as floats, or uint8 pixels whose colours are changed later on the device."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from rnc_lightning.datasets.images.colour import (
    COLOUR_NUMBERS,
    MEAN,
    STD,
    Colour,
    ColourJitter,
    apply_colour,
    to_grey,
    write_normalised,
    write_planes,
)
from rnc_lightning.datasets.images.crop import CROP_NUMBERS, Pixels, draw_crop, mirror, resized_crop
from rnc_lightning.datasets.transform import Description, ImageTransform
from rnc_lightning.numerics.checks import check_whole_number


class AugmentedImage(ImageTransform):
    """Crop, flip, colour jitter, grey: drawn from torch's CPU generator, the same for floats and for pixels.

    Args:
        size: Side of a view in pixels.
        min_scale: Smallest fraction of the area that a crop keeps.
        flip: Probability of a horizontal flip.
        colour: Probabilities and strengths of the colour changes.
        max_scale: Largest fraction of the area that a crop keeps.
        channels: 3, or 1 for grey views; colours become grey first.

    Raises:
        ValueError: For a size below 1, or a scale, probability or number of channels out of its range.
    """

    def __init__(
        self,
        size: int,
        min_scale: float,
        flip: float,
        colour: ColourJitter,
        max_scale: float = 1.0,
        channels: int = 3,
    ) -> None:
        check_whole_number("size", size, 1)
        check_channels(channels)
        if not 0 < min_scale <= 1:
            raise ValueError(f"min_scale must be above 0 and at most 1, got {min_scale}")
        if not min_scale <= max_scale <= 1:
            raise ValueError(f"max_scale must be from min_scale ({min_scale}) to 1, got {max_scale}")
        if not 0 <= flip <= 1:
            raise ValueError(f"flip must be between 0 and 1, got {flip}")
        self.size = size
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.flip = flip
        self.colour = colour
        self.channels = channels

    def views(self, source: Any, count: int) -> Tensor:
        """Views (count, channels, size, size) of one image, as floats in [-1, 1]."""
        image = to_pixels(source, self.channels)
        out = torch.empty(count, 3, self.size, self.size)
        for view in out:
            pixels, colour = self._draw(image)
            write_normalised(view, apply_colour(pixels, colour))
        return out[:, : self.channels]

    def pixels(self, source: Any, count: int) -> tuple[Tensor, Tensor]:
        """The same views as uint8 before the colour changes, and the colour changes (count, 9)."""
        image = to_pixels(source, self.channels)
        out = torch.empty(count, 3, self.size, self.size, dtype=torch.uint8)
        colours = []
        for view in out:
            pixels, colour = self._draw(image)
            write_planes(view, pixels)
            colours.append(colour.numbers())
        return out[:, : self.channels], torch.tensor(colours)

    def _draw(self, image: Pixels) -> tuple[Pixels, Colour]:
        flip, *uniform = torch.rand(1 + COLOUR_NUMBERS + CROP_NUMBERS, dtype=torch.float64).tolist()
        height, width = image.shape[:2]
        crop = draw_crop(width, height, self.min_scale, uniform[COLOUR_NUMBERS:], self.max_scale)
        pixels = resized_crop(image, crop, self.size)
        return mirror(pixels) if flip < self.flip else pixels, self.colour.draw(uniform[:COLOUR_NUMBERS])


class CentredImage(ImageTransform):
    """Resize and central crop, by torchvision on a Pillow image, as in the official code.

    Args:
        size: Side of the square in pixels.
        resize: The shorter side after resizing.
        channels: 3, or 1 for a grey image; colours become grey first.

    Raises:
        ValueError: For a size below 1, a square that does not fit into the resized image, or other channels.
    """

    def __init__(self, size: int, resize: int, channels: int = 3) -> None:
        check_whole_number("size", size, 1)
        check_channels(channels)
        if resize < size:
            raise ValueError(f"resize must be at least size ({size}), got {resize}")
        self.size = size
        self.resize = resize
        self.channels = channels
        self._crop = v2.Compose([v2.Resize(resize), v2.CenterCrop(size)])

    def views(self, source: Any, count: int) -> Tensor:
        """Identical views (count, channels, size, size) of one image, as floats in [-1, 1]."""
        image = self._pixels(source)
        out = torch.empty(1, 3, *image.shape[:2])
        write_normalised(out[0], image)
        return out[:, : self.channels].expand(count, -1, -1, -1)

    def pixels(self, source: Any, count: int) -> tuple[Tensor, None]:
        """The same as uint8."""
        image = self._pixels(source)
        out = torch.empty(1, 3, *image.shape[:2], dtype=torch.uint8)
        write_planes(out[0], image)
        return out[:, : self.channels].expand(count, -1, -1, -1), None

    def describe(self) -> Description:
        """Sizes and normalisation."""
        grey = self.channels == 1
        facts = {
            "kind": "grey image" if grey else "image",
            "resize": self.resize,
            "crop": self.size,
            "mean": [MEAN] * self.channels,
            "std": [STD] * self.channels,
        }
        words = (
            f"{'Grey images (0.299 R + 0.587 G + 0.114 B)' if grey else 'RGB images'}: resize the shorter side to "
            f"{self.resize} pixels (bilinear, with antialiasing), crop the central square of {self.size}, scale "
            f"pixels to 0 to 1, subtract {MEAN:g} and divide by {STD:g}{'' if grey else ' in each channel'}."
        )
        return Description(facts, words)

    def _pixels(self, source: Any) -> Pixels:
        if self.channels == 1 or not isinstance(source, Image.Image):
            source = Image.fromarray(to_pixels(source, self.channels))
        return np.asarray(self._crop(source.convert("RGB")))


def check_channels(channels: int) -> None:
    """Refuse a number of channels that an image cannot have.

    Raises:
        ValueError: If it is neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"images have 3 channels (input.channels=3) or, in grey, 1, got {channels}")


def to_pixels(source: Any, channels: int = 3) -> Pixels:
    """An image as an array (H, W, 3).

    Args:
        source: A Pillow image, a uint8 tensor (3, H, W) or a uint8 array (H, W, 3).
        channels: 1 makes the three channels grey.

    Raises:
        TypeError: For anything else.
    """
    if channels == 1:
        return to_grey(np.ascontiguousarray(to_pixels(source)))
    if isinstance(source, Image.Image):
        return np.asarray(source if source.mode == "RGB" else source.convert("RGB"))
    if isinstance(source, Tensor) and source.dtype == torch.uint8 and source.ndim == 3 and source.shape[0] == 3:
        return source.permute(1, 2, 0).numpy()
    if isinstance(source, np.ndarray) and source.dtype == np.uint8 and source.ndim == 3 and source.shape[2] == 3:
        return source
    got = type(source).__name__
    if isinstance(source, Tensor | np.ndarray):
        got += f" of {source.dtype} {tuple(source.shape)}"
    raise TypeError(f"an image must be a Pillow image, a uint8 tensor (3, H, W) or a uint8 array (H, W, 3), got {got}")
