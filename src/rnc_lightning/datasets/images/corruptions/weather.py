"""Weather: snow, fog, brightness. Frost is in ice.py and spatter in drops.py."""

import numpy as np

from rnc_lightning.datasets.images.corruptions.blur import enlarge, smear
from rnc_lightning.datasets.images.corruptions.pixels import luminance, to_bytes, to_unit
from rnc_lightning.datasets.images.corruptions.plasma import plasma

# Mean and standard deviation of the flakes' noise, enlargement, threshold, radius and standard deviation of their
# motion in pixels, weight of the original image.
_SNOW = (
    (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
    (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
    (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
    (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
    (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
)

_FOG = ((1.5, 2), (2.0, 2), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4))  # thickness, decay of the plasma
_BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added to the value of hue, saturation, value


def snow(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Whiten the (H, W, 3) uint8 image and add falling flakes; their size is in pixels.

    The flakes are smeared with `smear`; ImageNet-C uses ImageMagick's motion blur.
    """
    mean, spread, factor, threshold, radius, sigma, weight = _SNOW[severity - 1]
    flakes = enlarge(generator.normal(mean, spread, size=image.shape[:2]), factor)
    flakes[flakes < threshold] = 0.0
    flakes = np.minimum(flakes, 1.0)
    flakes = smear(flakes, int(radius), sigma, angle=generator.uniform(-135.0, -45.0))
    flakes += flakes[::-1, ::-1]
    plain = to_unit(image)
    white = np.maximum(plain, 1.5 * luminance(plain)[..., None] + 0.5)
    return to_bytes(weight * plain + (1 - weight) * white + flakes[..., None])


def fog(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Add clouds to the (H, W, 3) uint8 image and scale it down to the original brightness.

    The clouds repeat after the smallest power of two that covers the longer side.
    """
    thickness, decay = _FOG[severity - 1]
    plain = to_unit(image)
    clouds = plasma(image.shape[0], image.shape[1], decay, generator)
    brightest = plain.max()
    return to_bytes((plain + thickness * clouds[..., None]) * (brightest / (brightest + thickness)))


def brightness(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Raise the value of the (H, W, 3) uint8 image, hue and saturation unchanged. Draws nothing."""
    added = _BRIGHTNESS[severity - 1]
    plain = to_unit(image)
    value = plain.max(axis=-1, keepdims=True)
    raised = np.minimum(value + added, 1.0)
    # With hue and saturation fixed, the channels are proportional to the value; black has neither and becomes grey.
    scaled = plain * (raised / np.where(value > 0, value, 1.0))
    return to_bytes(np.where(value > 0, scaled, raised))
