"""Painting with soft shapes: coverage masks from distances, laid over a picture one after the other."""

from copy import copy
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array: TypeAlias = NDArray[np.float32]
Colour: TypeAlias = tuple[float, float, float] | Array


class Painting:
    """A picture being painted, in coordinates that do not depend on its pixels.

    Args:
        height: Rows.
        width: Columns.
        centre: Where the origin lies, as shares of height and width.
        scale: Length of the unit, as a share of the shorter side.
        roll: Turn of the coordinates, in radians, clockwise on the picture.

    Attributes:
        x: (height, width) abscissae, growing to the right.
        y: (height, width) ordinates, growing downwards.
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
        self._unit = np.float32(unit)

    def window(self, reach: float) -> "Painting":
        """The part within `reach` of the origin, to paint on this picture at less cost."""
        part = copy(self)
        near = np.hypot(self.x, self.y) <= reach
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        where = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        part.x, part.y, part.pixels = self.x[where], self.y[where], self.pixels[where]
        return part

    def cover(self, distance: Array) -> Array:
        """Coverage in 0..1 from a signed distance (negative inside), with an edge one pixel wide."""
        return np.clip(np.float32(0.5) - distance * self._unit, 0, 1)

    def ellipse(self, x: float, y: float, half_width: float, half_height: float) -> Array:
        """Coverage in 0..1 by an ellipse around (x, y), in the painting's coordinates."""
        radius = np.hypot((self.x - np.float32(x)) / half_width, (self.y - np.float32(y)) / half_height)
        return self.cover((radius - 1) * np.float32(min(half_width, half_height)))

    def stroke(self, curve: Array | float, thickness: float) -> Array:
        """A soft horizontal line along y = curve, its profile a bell of the given thickness (at least half a pixel)."""
        thickness = max(thickness, 0.5 / float(self._unit))
        return np.exp(-np.square((self.y - curve) / np.float32(thickness)))

    def lay(self, mask: Array, colour: Colour) -> None:
        """Lay a colour (or a whole picture) over the painting where the mask is."""
        self.pixels += mask[..., None] * (np.asarray(colour, dtype=np.float32) - self.pixels)

    def shade(self, factor: Array) -> None:
        """Multiply all colours."""
        self.pixels *= factor[..., None]

    def finished(self) -> NDArray[np.uint8]:
        """The pixels as (H, W, 3) uint8, clipped and rounded."""
        return (np.clip(self.pixels, 0, 1) * 255 + 0.5).astype(np.uint8)


def clouds(generator: np.random.Generator, height: int, width: int, coarse: int = 3, octaves: int = 4) -> Array:
    """Smooth noise summed over octaves, each half as strong as the one before; mean about 0, deviation about 1."""
    total: Array = np.zeros((height, width), dtype=np.float32)
    strength, power = 1.0, 0.0
    for octave in range(octaves):
        cells = coarse * 2**octave
        grid = generator.standard_normal((cells + 1, cells + 1), dtype=np.float32)
        total += np.float32(strength) * np.asarray(
            Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
        )
        power += strength**2 * 0.6  # interpolation takes away about four tenths of the variance
        strength /= 2
    return total / np.float32(np.sqrt(power))


def mix(first: Colour, second: Colour, share: float) -> Array:
    """A colour between two."""
    start, end = np.asarray(first, dtype=np.float32), np.asarray(second, dtype=np.float32)
    return start + np.float32(share) * (end - start)


def save_jpeg(pixels: NDArray[np.uint8], path: Path, quality: int = 90, **options: Any) -> None:
    """Write (H, W, 3) or (H, W) pixels, making the folder where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="JPEG", quality=quality, **options)
