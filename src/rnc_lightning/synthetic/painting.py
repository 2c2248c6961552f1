"""Draw soft-edged shapes: coverage masks computed from distances, blended onto an image one after the other."""

from copy import copy
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array: TypeAlias = NDArray[np.float32]
Colour: TypeAlias = tuple[float, float, float] | Array


class Painting:
    """An image being drawn, in coordinates that do not depend on its resolution.

    Args:
        height: Rows.
        width: Columns.
        centre: Position of the origin, as fractions of height and width.
        scale: Length of one unit, as a fraction of the shorter side.
        roll: Rotation of the coordinates in radians, clockwise in the image.

    Attributes:
        x: (height, width) x coordinates, increasing to the right.
        y: (height, width) y coordinates, increasing downwards.
        pixels: (height, width, 3) colours in 0..1.
    """

    def __init__(
        self, height: int, width: int, centre: tuple[float, float] = (0.5, 0.5), scale: float = 0.5, roll: float = 0.0
    ) -> None:
        unit = scale * min(height, width)
        down = ((np.arange(height, dtype=np.float32) + 0.5 - centre[0] * height) / unit)[:, None]
        right = ((np.arange(width, dtype=np.float32) + 0.5 - centre[1] * width) / unit)[None, :]
        cosine, sine = np.float32(np.cos(roll)), np.float32(np.sin(roll))
        self.x: Array = cosine * right + sine * down
        self.y: Array = cosine * down - sine * right
        self.pixels: Array = np.zeros((height, width, 3), dtype=np.float32)
        self._unit = unit

    def window(self, reach: float) -> "Painting":
        """A view of the part within `reach` of the origin, where drawing costs less; it shares this image's pixels."""
        part = copy(self)
        near = np.hypot(self.x, self.y) <= reach
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        where = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        part.x, part.y, part.pixels = self.x[where], self.y[where], self.pixels[where]
        return part

    def cover(self, distance: Array) -> Array:
        """Coverage in 0..1 from a signed distance (negative inside), with an edge one pixel wide."""
        return np.clip(0.5 - distance * self._unit, 0, 1)

    def ellipse(self, x: float, y: float, half_width: float, half_height: float) -> Array:
        """Coverage in 0..1 by an ellipse around (x, y), in the painting's coordinates."""
        radius = np.hypot((self.x - np.float32(x)) / half_width, (self.y - np.float32(y)) / half_height)
        return self.cover((radius - 1) * min(half_width, half_height))

    def stroke(self, curve: Array | float, thickness: float) -> Array:
        """A soft line along y = curve with a Gaussian profile; `thickness` is at least half a pixel."""
        thickness = max(thickness, 0.5 / self._unit)
        return np.exp(-np.square((self.y - curve) / thickness))

    def lay(self, mask: Array, colour: Colour) -> None:
        """Blend a colour, or an image, over the pixels; the mask is its opacity."""
        self.pixels += mask[..., None] * (np.asarray(colour, dtype=np.float32) - self.pixels)

    def shade(self, factor: Array) -> None:
        """Multiply all colours."""
        self.pixels *= factor[..., None]

    def clouds(self, generator: np.random.Generator, coarse: int, octaves: int) -> Array:
        """Smooth noise: a sum of octaves, each half as strong as the one before; mean about 0, deviation about 1."""
        total: Array = np.zeros_like(self.x)
        height, width = self.x.shape
        strength, power = 1.0, 0.0
        for octave in range(octaves):
            cells = coarse * 2**octave
            grid = generator.standard_normal((cells + 1, cells + 1), dtype=np.float32)
            total += strength * np.asarray(Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC))
            power += strength**2 * 0.6  # interpolation removes about four tenths of the variance
            strength /= 2
        return total / np.float32(np.sqrt(power))

    def fill_background(self, generator: np.random.Generator, low: float, high: float, octaves: int) -> None:
        """Fill everything with two random colours between `low` and `high`, mixed by clouds."""
        colours = generator.uniform(low, high, (2, 3)).astype(np.float32)
        self.pixels[:] = colours[0]
        self.lay(np.clip(0.5 + 0.35 * self.clouds(generator, 2, octaves), 0, 1), colours[1])

    def add_grain(self, generator: np.random.Generator) -> None:
        """Add grey noise of random strength."""
        grain = generator.standard_normal(self.x.shape, dtype=np.float32) * generator.uniform(0.005, 0.03)
        self.pixels += grain[..., None]

    def finished(self) -> NDArray[np.uint8]:
        """The pixels as (H, W, 3) uint8, clipped and rounded."""
        return (np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8)


def mix(first: Colour, second: Colour, share: float) -> Array:
    """The colour at `share` of the way from the first to the second."""
    start, end = np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)
    return start + share * (end - start)


def save_jpeg(pixels: NDArray[np.uint8], path: Path, quality: int) -> None:
    """Write (H, W, 3) or (H, W) pixels; a missing folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="JPEG", quality=quality)
