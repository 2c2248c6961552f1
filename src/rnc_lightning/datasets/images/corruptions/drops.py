"""Spatter: drops of water or mud on the lens."""

import math

import numpy as np
from scipy import ndimage

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit

# Mean and standard deviation of the noise, its smoothing in pixels, threshold, strength (water) or smoothing (mud).
_WATER = ((0.65, 0.3, 4, 0.69, 0.6), (0.65, 0.3, 3, 0.68, 0.6), (0.65, 0.3, 2, 0.68, 0.5))  # severities 1 to 3


_MUD = ((0.65, 0.3, 1, 0.65, 1.5), (0.67, 0.4, 1, 0.65, 1.5))  # severities 4 and 5


_TURQUOISE = np.array([175, 238, 238]) / 255


_BROWN = np.array([63, 42, 20]) / 255


_MUD_RIM = 0.8  # mud thinner than this is left out


_CANNY = (50, 150)  # gradient of an edge's weak and strong pixels


_FARTHEST = 20.0  # distances from an edge count up to this many pixels


_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def spatter(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Drops of water (severities 1 to 3) or mud (4 and 5) on the (H, W, 3) uint8 image; sizes are in pixels.

    Deviates from ImageNet-C in one step: distances from a drop's rim are exact here, and approximated by steps of
    a 5 x 5 mask there. The light on the drops differs by that.
    """
    water = severity <= len(_WATER)
    mean, spread, sigma, threshold, last = _WATER[severity - 1] if water else _MUD[severity - 1 - len(_WATER)]
    liquid = generator.normal(mean, spread, size=image.shape[:2])
    liquid = ndimage.gaussian_filter(liquid, sigma, mode="nearest")
    plain = to_unit(image)
    if water:
        layer = (np.where(liquid < threshold, 0.0, liquid).clip(0.0, 1.0) * 255).astype(np.uint8)
        return to_bytes(plain + last * _water(layer)[..., None] * _TURQUOISE)
    cover = ndimage.gaussian_filter((liquid > threshold).astype(np.float64), last, mode="nearest")
    cover[cover < _MUD_RIM] = 0.0
    return to_bytes(plain * (1 - cover[..., None]) + cover[..., None] * _BROWN)


def _water(layer: np.ndarray) -> np.ndarray:
    """Light on the drops, (H, W) in [0, 1], from their thickness (H, W) uint8: embossed by the distance from rims."""
    edges = canny(layer, *_CANNY)
    distance = ndimage.distance_transform_edt(~edges) if edges.any() else np.full(layer.shape, _FARTHEST)
    distance = ndimage.uniform_filter(np.minimum(distance, _FARTHEST), 3, mode="mirror")
    levels = equalised((distance + 1e-9).astype(np.uint8)).astype(np.int64)
    relief = ndimage.correlate(levels, _EMBOSS, mode="mirror").clip(0, 255)
    relief = np.rint(ndimage.uniform_filter(relief.astype(np.float64), 3, mode="mirror"))
    light = layer * relief
    return light / max(light.max(), 1.0)


def canny(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """Edges after Canny: ridges of the gradient above `low` that touch one above `high`.

    The gradient is Sobel's over 3 x 3 pixels, its size |dx| + |dy|.

    Args:
        image: (H, W) uint8.
        low: Smallest gradient of an edge, exclusive.
        high: A connected edge has a gradient above this somewhere.

    Returns:
        (H, W) bool.
    """
    values = image.astype(np.int64)
    down, right = (ndimage.sobel(values, axis=axis, mode="nearest") for axis in (0, 1))
    size = np.abs(down) + np.abs(right)
    steep = np.abs(down) > np.abs(right) * math.tan(math.radians(67.5))
    flat = np.abs(down) < np.abs(right) * math.tan(math.radians(22.5))
    falling = down * right >= 0  # the gradient points down and right, or up and left
    ridge = np.select(
        [flat, steep, falling],
        [_above(size, 0, 1, strict=False), _above(size, 1, 0, strict=False), _above(size, 1, 1, strict=True)],
        _above(size, 1, -1, strict=True),
    )
    weak = ridge & (size > low)
    parts, _ = ndimage.label(weak, structure=np.ones((3, 3)))
    strong = np.unique(parts[weak & (size > high)])
    return np.isin(parts, strong) & weak


def _above(size: np.ndarray, down: int, right: int, *, strict: bool) -> np.ndarray:
    """Where a value exceeds the one before it along a direction, and the one after it (or, not strict, equals it)."""
    height, width = size.shape
    padded = np.pad(size, 1)
    before = padded[1 - down : 1 - down + height, 1 - right : 1 - right + width]
    after = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
    return (size > before) & ((size > after) if strict else (size >= after))


def equalised(image: np.ndarray) -> np.ndarray:
    """Spread the grey values of an (H, W) uint8 picture so that each is about as frequent; the lowest becomes 0."""
    counts = np.bincount(image.ravel(), minlength=256)
    lowest = int(image.min())
    rest = image.size - counts[lowest]
    if rest == 0:
        return image
    upto = np.cumsum(counts) - counts[lowest]
    return np.rint(upto * (255 / rest)).clip(0, 255).astype(np.uint8)[image]
