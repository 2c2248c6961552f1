"""The corruptions of ImageNet-C (Hendrycks and Dietterich, 2019): 19 kinds, 5 severities, for images of any size.

Names, severity constants and recipes are the published ones. Each corruption draws only from the generator that it is
given, so that the same seed gives the same pixels in any process. Differences are documented at each function: `frost`
uses a synthetic texture instead of photographs, `motion_blur` and `snow` smear without ImageMagick, `spatter` measures
distances exactly. Lengths are in pixels at every image size, as published for 224, except in `elastic_transform` (in
proportion to the shorter side) and `fog` (clouds as large as the image).
"""

from collections.abc import Callable
from numbers import Integral

import numpy as np
from PIL import Image

from rnc_lightning.datasets.images.corruptions.blur import (
    defocus_blur,
    gaussian_blur,
    glass_blur,
    motion_blur,
    zoom_blur,
)
from rnc_lightning.datasets.images.corruptions.digital import contrast, jpeg_compression, pixelate, saturate
from rnc_lightning.datasets.images.corruptions.drops import spatter
from rnc_lightning.datasets.images.corruptions.elastic import elastic_transform
from rnc_lightning.datasets.images.corruptions.ice import frost
from rnc_lightning.datasets.images.corruptions.noise import gaussian_noise, impulse_noise, shot_noise, speckle_noise
from rnc_lightning.datasets.images.corruptions.weather import brightness, fog, snow
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.system.errors import suggest

_Function = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
_COMMON: tuple[_Function, ...] = (
    *(gaussian_noise, shot_noise, impulse_noise),
    *(defocus_blur, glass_blur, motion_blur, zoom_blur),
    *(snow, frost, fog, brightness),
    *(contrast, elastic_transform, pixelate, jpeg_compression),
)
_EXTRA: tuple[_Function, ...] = (speckle_noise, gaussian_blur, spatter, saturate)
_FUNCTIONS = {function.__name__: function for function in (*_COMMON, *_EXTRA)}
NAMES: tuple[str, ...] = tuple(_FUNCTIONS)
COMMON: tuple[str, ...] = NAMES[: len(_COMMON)]  # on which ImageNet-C's error is measured
EXTRA: tuple[str, ...] = NAMES[len(_COMMON) :]  # meant for validation
SEVERITIES: tuple[int, ...] = (1, 2, 3, 4, 5)


def corrupt(image: np.ndarray, name: str, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Corrupt one image.

    >>> image = np.full((8, 10, 3), 128, dtype=np.uint8)
    >>> corrupt(image, "brightness", 1, np.random.default_rng(0))[0, 0].tolist()
    [153, 153, 153]

    Args:
        image: (H, W, 3) uint8, RGB, of any size; not modified.
        name: One of `NAMES`.
        severity: 1 (mild) to 5 (strong).
        generator: Source of all random numbers; some corruptions draw none.

    Returns:
        (H, W, 3) uint8, a new array.

    Raises:
        ValueError: For an unknown name, a severity that is not 1 to 5, or an image of another shape or type.
    """
    _check(name, severity)
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        kind = image.dtype if isinstance(image, np.ndarray) else type(image).__name__
        raise ValueError(f"a corruption needs a NumPy array of uint8, got {kind}; convert it first")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"a corruption needs an RGB image (height, width, 3), got shape {image.shape}")
    return _FUNCTIONS[name](image, int(severity), generator)


class Corruption:
    """One corruption at one severity, with the same result for a sample whenever it is read.

    Args:
        name: One of `NAMES`.
        severity: 1 to 5.
        seed: Together with the name, the severity and the sample's index it determines every random draw.

    Raises:
        ValueError: For an unknown name or a severity that is not 1 to 5.
    """

    def __init__(self, name: str, severity: int, seed: int = 0) -> None:
        _check(name, severity)
        self.name = name
        self.severity = int(severity)
        self.seed = seed

    def __call__(self, image: Image.Image | np.ndarray, index: int) -> Image.Image:
        """Corrupt sample number `index`, an RGB Pillow image or (H, W, 3) uint8; see `corrupt` for errors."""
        generator = np.random.default_rng(derive_seed(self.seed, self.name, self.severity, int(index)))
        return Image.fromarray(corrupt(np.asarray(image), self.name, self.severity, generator))

    def __repr__(self) -> str:
        return f"Corruption({self.name!r}, severity={self.severity}, seed={self.seed})"


def _check(name: str, severity: int) -> None:
    if name not in _FUNCTIONS:
        raise ValueError(f"unknown corruption {name!r}; {suggest(name, NAMES)}")
    if not isinstance(severity, Integral) or severity not in SEVERITIES:
        raise ValueError(f"the severity of a corruption must be a whole number from 1 to 5, got {severity!r}")
