"""Frost: ice crystals on a glass in front of the camera."""

import math

import numpy as np
from scipy import fft

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit
from rnc_lightning.datasets.images.corruptions.plasma import plasma

_FROST = ((1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75))  # weight of the image, of the ice
_NEEDLE = (6.0, 0.7)  # length and width of a needle in pixels, as standard deviations
_TINT = (0.87, 1.0, 1.07)  # pale blue; the luminance stays about the same
_MEAN = (0.45, 0.8)  # range of a texture's mean, as fractions of the pixel range
_SPREAD = (0.07, 0.17)  # range of its standard deviation


def frost(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Blend the (H, W, 3) uint8 image with a texture of ice.

    Deviates from ImageNet-C: there the texture is a random crop of one of five photographs of frost, which are not
    included here; `ice` generates one instead. The weights of image and texture are the published ones. Results for
    frost are therefore not comparable with published ones.
    """
    image_weight, ice_weight = _FROST[severity - 1]
    texture = ice(image.shape[0], image.shape[1], generator)
    return to_bytes(image_weight * to_unit(image) + ice_weight * texture)


def ice(height: int, width: int, generator: np.random.Generator) -> np.ndarray:
    """A synthetic texture of ice: needles in three directions 60 degrees apart, over large pale and dark patches.

    Brightness and contrast vary between textures, in ranges like those of photographs of frost.

    Returns:
        (height, width, 3) float64 in [0, 1].
    """
    first = generator.uniform(0.0, math.pi)
    layers = [_needles(height, width, first + turn * math.pi / 3, generator) for turn in range(3)]
    relief = _standardised(np.maximum.reduce(layers)) + _standardised(plasma(height, width, 2.0, generator))
    grey = generator.uniform(*_MEAN) + generator.uniform(*_SPREAD) * _standardised(relief)
    return np.clip(grey[..., None] * _TINT, 0.0, 1.0)


def _needles(height: int, width: int, angle: float, generator: np.random.Generator) -> np.ndarray:
    """White noise smoothed strongly along one direction and weakly across it, (height, width), standardised."""
    down, right = fft.fftfreq(height)[:, None], fft.rfftfreq(width)
    along = down * math.sin(angle) + right * math.cos(angle)
    across = down * math.cos(angle) - right * math.sin(angle)
    length, thickness = _NEEDLE
    response = np.exp(-2 * math.pi**2 * ((length * along) ** 2 + (thickness * across) ** 2))
    spectrum = fft.rfft2(generator.standard_normal((height, width))) * response
    return _standardised(fft.irfft2(spectrum, (height, width)))


def _standardised(field: np.ndarray) -> np.ndarray:
    return (field - field.mean()) / max(field.std(), 1e-12)
