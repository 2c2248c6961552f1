"""Effects of cameras and files: contrast, saturation, large pixels, JPEG."""

from io import BytesIO

import numpy as np
from PIL import Image

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit

_CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # remaining fraction of the contrast
_PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)  # remaining fraction of the resolution
_JPEG = (25, 18, 15, 10, 7)  # quality
_SATURATE = ((0.3, 0.0), (0.1, 0.0), (2.0, 0.0), (5.0, 0.1), (20.0, 0.2))  # factor and summand of the saturation


def contrast(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Move the (H, W, 3) uint8 image towards each channel's mean. Draws nothing."""
    plain = to_unit(image)
    mean = plain.mean(axis=(0, 1))
    return to_bytes((plain - mean) * _CONTRAST[severity - 1] + mean)


def pixelate(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Shrink the (H, W, 3) uint8 image by area means and enlarge it again. Draws nothing."""
    height, width = image.shape[:2]
    share = _PIXELATE[severity - 1]
    picture = Image.fromarray(image)
    small = picture.resize((max(int(width * share), 1), max(int(height * share), 1)), Image.Resampling.BOX)
    return np.array(small.resize((width, height), Image.Resampling.BOX))


def jpeg_compression(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Write the (H, W, 3) uint8 image as JPEG and read it back. Draws nothing.

    The pixels depend slightly on the JPEG library in Pillow.
    """
    file = BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=_JPEG[severity - 1])
    with Image.open(file) as picture:
        return np.array(picture)


def saturate(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Weaken (severities 1 and 2) or strengthen (3 to 5) the colours of the (H, W, 3) uint8 image. Draws nothing.

    At severities 4 and 5 grey turns reddish, as in ImageNet-C: grey has no hue, and the formula's hue 0 is red.
    """
    factor, summand = _SATURATE[severity - 1]
    plain = to_unit(image)
    value = plain.max(axis=-1, keepdims=True)
    span = value - plain.min(axis=-1, keepdims=True)
    coloured = span > 0
    saturation = span / np.where(value > 0, value, 1.0)
    wanted = np.clip(saturation * factor + summand, 0.0, 1.0)
    # A channel is below the value by saturation * value times a number that depends only on the hue.
    shape = np.where(coloured, (value - plain) / np.where(coloured, span, 1.0), [0.0, 1.0, 1.0])
    return to_bytes(value * (1.0 - wanted * shape))
