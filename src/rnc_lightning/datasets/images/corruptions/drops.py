"""Spatter: drops of water or mud on the lens."""

import cv2
import numpy as np
from scipy import ndimage

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit

# Mean and standard deviation of the noise, its smoothing in pixels, threshold, strength (water) or smoothing (mud).
_WATER = ((0.65, 0.3, 4, 0.69, 0.6), (0.65, 0.3, 3, 0.68, 0.6), (0.65, 0.3, 2, 0.68, 0.5))  # severities 1 to 3
_MUD = ((0.65, 0.3, 1, 0.65, 1.5), (0.67, 0.4, 1, 0.65, 1.5))  # severities 4 and 5
_TURQUOISE = np.array([175, 238, 238]) / 255
_BROWN = np.array([63, 42, 20]) / 255
_MUD_RIM = 0.8  # thinner mud is removed
_CANNY = (50, 150)  # gradient of an edge's weak and strong pixels
_FARTHEST = 20.0  # distances from an edge count up to this many pixels
_EMBOSS = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])


def spatter(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Drops of water (severities 1 to 3) or mud (4 and 5) on the (H, W, 3) uint8 image; sizes are in pixels.

    Deviates from ImageNet-C in one step: distances from a drop's edge are exact here and approximated by a 5 x 5 mask
    there, which changes the light on the drops.
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
    """Light on the drops, (H, W) in [0, 1], from their thickness (H, W) uint8: embossed by the distance from edges."""
    edges = cv2.Canny(layer, *_CANNY) > 0
    distance = ndimage.distance_transform_edt(~edges) if edges.any() else np.full(layer.shape, _FARTHEST)
    distance = ndimage.uniform_filter(np.minimum(distance, _FARTHEST), 3, mode="mirror")
    levels = cv2.equalizeHist((distance + 1e-9).astype(np.uint8)).astype(np.int64)
    relief = ndimage.correlate(levels, _EMBOSS, mode="mirror").clip(0, 255)
    relief = np.rint(ndimage.uniform_filter(relief.astype(np.float64), 3, mode="mirror"))
    light = layer * relief
    return light / max(light.max(), 1.0)
