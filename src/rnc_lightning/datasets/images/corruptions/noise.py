"""Noise on single pixels: Gaussian, shot, impulse, speckle."""

import numpy as np

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit

_GAUSSIAN = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of the pixel range
_SHOT = (60, 25, 12, 5, 3)  # photons for a white pixel
_IMPULSE = (0.03, 0.06, 0.09, 0.17, 0.27)  # share of the values replaced
_SPECKLE = (0.15, 0.2, 0.35, 0.45, 0.6)  # standard deviation, relative to the value


def gaussian_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Normal noise added to every value of the (H, W, 3) uint8 image."""
    noise = generator.standard_normal(image.shape)
    return to_bytes(to_unit(image) + _GAUSSIAN[severity - 1] * noise)


def shot_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Poisson counts instead of the values of the (H, W, 3) uint8 image: few photons, much noise."""
    photons = _SHOT[severity - 1]
    return to_bytes(generator.poisson(to_unit(image) * photons) / photons)


def impulse_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Salt and pepper: random values of the (H, W, 3) uint8 image become 0 or 255, each channel independently."""
    share = _IMPULSE[severity - 1]
    draw = generator.random(image.shape)
    noisy = image.copy()
    noisy[draw < share] = 255
    noisy[draw < share / 2] = 0
    return noisy


def speckle_noise(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Normal noise in proportion to the value, on the (H, W, 3) uint8 image."""
    noise = generator.standard_normal(image.shape)
    return to_bytes(to_unit(image) * (1.0 + _SPECKLE[severity - 1] * noise))
