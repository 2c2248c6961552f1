"""Loss of sharpness: Gaussian, defocus, frosted glass, motion, zoom."""

import math

import numpy as np
from scipy import fft, ndimage

from rnc_lightning.datasets.images.corruptions.pixels import to_bytes, to_unit

_GAUSSIAN = (1, 2, 3, 4, 6)  # standard deviation in pixels
_DEFOCUS = ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5))  # radius, softness of the rim; pixels
_GLASS = ((0.7, 1, 2), (0.9, 2, 1), (1.0, 2, 3), (1.1, 3, 2), (1.5, 4, 2))  # standard deviation, reach, rounds
_MOTION = ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15))  # radius and standard deviation in pixels
_ZOOM = ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03))  # end and step of the factors, from 1


def gaussian_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Gaussian filter of the (H, W, 3) uint8 image; its width is in pixels at any size. Draws nothing."""
    return to_bytes(_smooth(to_unit(image), _GAUSSIAN[severity - 1]))


def defocus_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Each point of the (H, W, 3) uint8 image becomes a disk of fixed size in pixels. Draws nothing."""
    return to_bytes(_convolve(to_unit(image), defocus_kernel(*_DEFOCUS[severity - 1])))


def glass_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Smooth the (H, W, 3) uint8 image, displace its pixels by a few, smooth again.

    ImageNet-C intends to exchange each pixel with a random neighbour, from the last pixel to the first. Both sides of
    its assignment are views of one array, so in effect the pixel takes the neighbour's colour and the neighbour keeps
    its own. The published images were created that way, and this function does the same in the same order.
    """
    sigma, reach, rounds = _GLASS[severity - 1]
    displaced = to_bytes(_smooth(to_unit(image), sigma))
    for _ in range(rounds):
        displaced = displace(displaced, reach, generator)
    return to_bytes(_smooth(to_unit(displaced), sigma))


def motion_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Smear the (H, W, 3) uint8 image along a line within 45 degrees of the horizontal; lengths are in pixels."""
    angle = generator.uniform(-45.0, 45.0)
    return to_bytes(smear(to_unit(image), *_MOTION[severity - 1], angle=angle))


def zoom_blur(image: np.ndarray, severity: int, generator: np.random.Generator) -> np.ndarray:
    """Mean of the (H, W, 3) uint8 image and of growing enlargements, as by zooming during exposure. Draws nothing."""
    values = to_unit(image).astype(np.float32)
    total = values.copy()
    end, step = _ZOOM[severity - 1]
    factors = np.arange(1.0, end, step)  # as published: rounding decides whether the end is included
    for factor in factors:
        total += enlarge(values, factor)
    return to_bytes(total / (len(factors) + 1))


def defocus_kernel(radius: int, softness: float) -> np.ndarray:
    """A disk (K, K) with sum near 1 and K at least 17, its edge softened by a Gaussian filter of 3 or 5 taps."""
    half = max(radius, 8)
    steps = np.arange(-half, half + 1)
    disk = (steps[:, None] ** 2 + steps**2 <= radius**2).astype(np.float64)
    return ndimage.gaussian_filter(disk / disk.sum(), softness, mode="mirror", radius=1 if radius <= 8 else 2)


def displace(image: np.ndarray, reach: int, generator: np.random.Generator) -> np.ndarray:
    """Each inner pixel, from the last to the first, takes the current colour of a random pixel nearby.

    If the other pixel was processed earlier, its new colour is taken, which may itself come from a pixel processed
    before. These chains are followed for all pixels at once, twice as far in each pass.

    Args:
        image: (H, W, C).
        reach: Steps are from -reach to reach - 1 in both directions; a margin of that width keeps its colours.
        generator: Draws the steps.

    Returns:
        (H, W, C), a new array.
    """
    height, width = image.shape[:2]
    inner = np.s_[reach + 1 : height - reach + 1, reach + 1 : width - reach + 1]
    index = np.arange(height * width)
    pixel = index.reshape(height, width)[inner]
    step_down, step_right = generator.integers(-reach, reach, size=(2, *pixel.shape))
    neighbour = pixel + step_down * width + step_right

    displaced = np.zeros((height, width), dtype=bool)
    displaced[inner] = True
    earlier = displaced.ravel()[neighbour] & (neighbour > pixel)
    link = index.copy()
    link[pixel] = np.where(earlier, neighbour, pixel)
    while not np.array_equal(further := link[link], link):
        link = further
    source = index
    source[pixel] = neighbour  # the end of a chain takes a colour from before this round
    return image.reshape(height * width, -1)[source[link]].reshape(image.shape)


def smear(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Weighted mean of the image shifted along a line, with the weights of one half of a normal distribution.

    The border pixels are repeated outside the image, so that any size works.

    Args:
        image: (H, W) or (H, W, C), float.
        radius: The line has 2 * radius + 1 points, one pixel apart.
        sigma: Standard deviation of the weights in pixels.
        angle: Direction of the line in degrees, 0 is horizontal.

    Returns:
        An array of the same shape.
    """
    height, width = image.shape[:2]
    distance = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * (distance / sigma) ** 2)
    weights /= weights.sum()
    turn = math.radians(angle)
    steps = np.ceil(distance[:, None] * [math.sin(turn), math.cos(turn)] - 0.5).astype(int)
    margin = int(np.abs(steps).max())
    padded = np.pad(image, [(margin, margin)] * 2 + [(0, 0)] * (image.ndim - 2), mode="edge")
    smeared = np.zeros_like(image)
    for weight, (down, right) in zip(weights, steps + margin, strict=True):
        smeared += weight * padded[down : down + height, right : right + width]
    return smeared


def enlarge(image: np.ndarray, factor: float) -> np.ndarray:
    """Enlarge the centre of an image (H, W) or (H, W, C) to its full size with linear interpolation."""
    return _stretch(_stretch(image, factor, 0), factor, 1)


def _stretch(image: np.ndarray, factor: float, axis: int) -> np.ndarray:
    """`enlarge` along one axis; the corner pixels of the crop and of the enlargement coincide."""
    length = image.shape[axis]
    kept = math.ceil(length / factor)
    full = round(kept * factor)
    trimmed = (full - length) // 2
    position = (np.arange(length) + trimmed) * ((kept - 1) / max(full - 1, 1))
    low = np.minimum(position.astype(int), max(kept - 2, 0))
    shape = [1] * image.ndim
    shape[axis] = length
    share = (position - low).reshape(shape).astype(image.dtype)
    low += (length - kept) // 2
    before = image.take(low, axis)
    after = image.take(np.minimum(low + 1, length - 1), axis)
    return before + share * (after - before)


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian filter over height and width, with repeated border pixels."""
    return ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest")


def _convolve(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Convolve (H, W, C) with a symmetric (K, K) by Fourier transforms; the image is mirrored at its borders."""
    height, width = image.shape[:2]
    margin = len(kernel) // 2
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    size = [fft.next_fast_len(length, real=True) for length in padded.shape[:2]]
    spectrum = fft.rfft2(padded, size, axes=(0, 1)) * fft.rfft2(kernel, size)[..., None]
    result = fft.irfft2(spectrum, size, axes=(0, 1))
    return result[2 * margin : 2 * margin + height, 2 * margin : 2 * margin + width]
