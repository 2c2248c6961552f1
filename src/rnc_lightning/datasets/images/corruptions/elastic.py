"""Elastic transform: a random affine map, then a random smooth displacement."""

import math

import numpy as np
from scipy import fft, ndimage

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit

# Strength and standard deviation of the displacement, range of the affine map's corners. ImageNet-C gives them as
# multiples of 244 pixels for images of 224.
_ELASTIC = ((2.0, 0.7, 0.1), (2.0, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02))
_UNIT = 244 / 224
_TRUNCATE = 3.0  # the Gaussian filter ends after this many standard deviations


def elastic_transform(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Distort the (H, W, 3) uint8 image.

    All lengths are in proportion to the shorter side; at 224 pixels they are the published ones. The published
    severities do not increase one quantity: 1 and 2 are large and smooth distortions, 3 to 5 small and rough ones, so
    that the distance to the clean image decreases from 2 to 3. Some packages use other constants; their results are
    not comparable.
    """
    height, width = image.shape[:2]
    strength, sigma, reach = (share * _UNIT * min(height, width) for share in _ELASTIC[severity - 1])
    plain = to_unit(image).astype(np.float32)
    matrix, offset = _affine(height, width, reach, generator)
    turned = np.stack(
        [ndimage.affine_transform(plain[..., c], matrix, offset, order=1, mode="mirror") for c in range(3)]
    )
    noise = generator.uniform(-1.0, 1.0, size=(2, height, width))
    positions = np.indices((height, width)) + strength * np.stack([smooth(layer, sigma) for layer in noise])
    moved = [ndimage.map_coordinates(channel, positions, order=1, mode="reflect") for channel in turned]
    return to_bytes(np.stack(moved, axis=-1))


def _affine(height: int, width: int, reach: float, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The map from positions in the result to positions in the source that undoes a random shift of three corners.

    Args:
        height: Rows.
        width: Columns.
        reach: Each coordinate of a corner shifts by at most this, in pixels.
        generator: Draws the shifts.

    Returns:
        Matrix (2, 2) and offset (2,), rows before columns.
    """
    centre = np.array([height // 2, width // 2])
    corners = centre + min(height, width) // 3 * np.array([[1, 1], [1, -1], [-1, -1]])
    shifted = corners + generator.uniform(-reach, reach, size=(3, 2))
    solution = np.linalg.solve(np.column_stack([shifted, np.ones(3)]), corners)
    return solution[:2].T, solution[2]


def smooth(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter of (H, W) with mirrored borders, fast for any width.

    With mirrored borders the filter is a product in the cosine transform, so that a filter of a thousand taps costs no
    more than one of ten.
    """
    spectrum = fft.dctn(field, type=2)
    for axis, length in enumerate(field.shape):
        response = _response(length, sigma)
        spectrum *= response[:, None] if axis == 0 else response
    return fft.idctn(spectrum, type=2)


def _response(length: int, sigma: float) -> np.ndarray:
    """The factor by which the truncated Gaussian filter scales each of the `length` cosines."""
    taps = np.arange(1, int(_TRUNCATE * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (taps / sigma) ** 2)
    cosines = np.cos(math.pi / length * np.outer(np.arange(length), taps))
    return (1.0 + 2.0 * (cosines * weights).sum(axis=1)) / (1.0 + 2.0 * weights.sum())
