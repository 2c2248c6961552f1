"""Conversion from bytes to numbers in [0, 1] and back."""

import numpy as np

_LIFT = 1e-4  # added before rounding down, since rounding errors can leave a whole number slightly too small


def to_unit(image: np.ndarray) -> np.ndarray:
    """Any shape of uint8 to float64 in [0, 1]."""
    return image / 255.0


def to_bytes(values: np.ndarray) -> np.ndarray:
    """Floats around [0, 1] to uint8, clipped and rounded down, as in ImageNet-C.

    >>> to_bytes(np.array([-0.2, 0.5, 1.0, 1.3])).tolist()
    [0, 127, 255, 255]
    """
    return (np.clip(values, 0.0, 1.0) * 255.0 + _LIFT).astype(np.uint8)


def luminance(image: np.ndarray) -> np.ndarray:
    """Grey value (H, W) of an RGB image (H, W, 3), with the weights of ITU-R BT.601."""
    return 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
