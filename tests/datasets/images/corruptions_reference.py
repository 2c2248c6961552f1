"""The corruptions once more, pixel by pixel in plain loops: slow, obvious, and sharing nothing with the package."""

import colorsys
import math
from collections.abc import Callable

import numpy as np
from scipy import ndimage


def each_value(image: np.ndarray, change: Callable[[float], float]) -> np.ndarray:
    """Change every value in [0, 1], in the order of memory."""
    return clipped(np.array([change(float(value) / 255) for value in image.ravel()]).reshape(image.shape))


def each_colour(image: np.ndarray, change: Callable[[float, float, float], tuple[float, float, float]]) -> np.ndarray:
    """Change hue, saturation and value of every pixel."""
    changed = [colorsys.hsv_to_rgb(*change(*colorsys.rgb_to_hsv(*(rgb / 255)))) for rgb in image.reshape(-1, 3)]
    return clipped(np.array(changed).reshape(image.shape))


def clipped(values: np.ndarray) -> np.ndarray:
    return np.floor(np.minimum(np.maximum(values, 0), 1) * 255 + 1e-6).astype(np.uint8)


def mirror(i: int, length: int) -> int:
    """Index of a pixel outside the picture, the border pixel not repeated: 2 1 | 0 1 2 | 1 0."""
    while not 0 <= i < length:
        i = -i if i < 0 else 2 * (length - 1) - i
    return i


def disk(radius: int, softness: float) -> np.ndarray:
    """The disk of `defocus_blur`, weighted with 3 or 5 Gaussian taps in both directions."""
    half, reach = (8, 1) if radius <= 8 else (radius, 2)
    size = 2 * half + 1
    hard = np.array([[float(math.hypot(i - half, j - half) <= radius) for j in range(size)] for i in range(size)])
    hard /= hard.sum()
    taps = {d: math.exp(-d * d / (2 * softness**2)) for d in range(-reach, reach + 1)}
    total = sum(taps.values()) ** 2
    soft = np.zeros_like(hard)
    for i in range(size):
        for j in range(size):
            for di, wi in taps.items():
                for dj, wj in taps.items():
                    soft[i, j] += wi * wj / total * hard[mirror(i + di, size), mirror(j + dj, size)]
    return soft


def convolved(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    height, width, half = *image.shape[:2], len(kernel) // 2
    out = np.zeros(image.shape)
    for i in range(height):
        for j in range(width):
            for di, row in enumerate(kernel):
                for dj, weight in enumerate(row):
                    out[i, j] += weight * image[mirror(i + di - half, height), mirror(j + dj - half, width)].astype(
                        float
                    )
    return clipped(out / 255)


def displaced(image: np.ndarray, reach: int, steps: np.ndarray) -> np.ndarray:
    """From the last inner pixel to the first: take the colour of the neighbour at `steps` (2, rows, columns)."""
    out = image.copy()
    height, width = image.shape[:2]
    for i in range(height - reach, reach, -1):
        for j in range(width - reach, reach, -1):
            down, right = steps[:, i - reach - 1, j - reach - 1]
            out[i, j] = out[i + down, j + right]
    return out


def smeared(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    height, width = image.shape[:2]
    weights = [math.exp(-k * k / (2 * sigma**2)) for k in range(2 * radius + 1)]
    out = np.zeros_like(image)
    for i in range(height):
        for j in range(width):
            for k, weight in enumerate(weights):
                down = math.ceil(k * math.sin(math.radians(angle)) - 0.5)
                right = math.ceil(k * math.cos(math.radians(angle)) - 0.5)
                place = min(max(i + down, 0), height - 1), min(max(j + right, 0), width - 1)
                out[i, j] += weight / sum(weights) * image[place]
    return out


def plasma(size: int, decay: float, generator: np.random.Generator) -> np.ndarray:
    """Diamond-square in place, with strides that halve."""
    field = np.zeros((size, size))
    stride, amplitude = size, 100.0
    while stride > 1:
        half = stride // 2
        reach = amplitude * amplitude
        for row_start, column_start in ((half, half), (0, half), (half, 0)):
            diagonal = row_start == column_start
            around = [(-half, -half), (-half, half), (half, -half), (half, half)]
            if not diagonal:
                around = [(-half, 0), (half, 0), (0, -half), (0, half)]
            for i in range(row_start, size, stride):
                for j in range(column_start, size, stride):
                    mean = sum(field[(i + di) % size, (j + dj) % size] for di, dj in around) / 4
                    field[i, j] = mean + generator.uniform(-reach, reach)
        stride, amplitude = half, amplitude / decay
    return (field - field.min()) / (field.max() - field.min())


def elastic(
    image: np.ndarray, strength: float, sigma: float, reach: float, generator: np.random.Generator
) -> np.ndarray:
    """Draws as the package does; filters, inverts and interpolates by itself."""
    height, width = image.shape[:2]
    side = min(height, width) // 3
    centre = np.array([height // 2, width // 2])
    corners = np.array([centre + side, centre + np.array([side, -side]), centre - side], dtype=float)
    shifted = corners + generator.uniform(-reach, reach, size=(3, 2))
    # forward: corners -> shifted; a place in the result is looked up with the inverse
    edges, moved = corners[1:] - corners[0], shifted[1:] - shifted[0]
    forward = np.linalg.inv(edges) @ moved
    back = np.linalg.inv(forward)
    plain = image / 255
    turned = np.zeros(image.shape)
    for i in range(height):
        for j in range(width):
            place = (np.array([i, j]) - shifted[0]) @ back + corners[0]
            turned[i, j] = interpolated(plain, *place, mirror)
    noise = generator.uniform(-1, 1, size=(2, height, width))
    shift = [strength * ndimage.gaussian_filter(layer, sigma, mode="reflect", truncate=3) for layer in noise]
    out = np.zeros(image.shape)
    for i in range(height):
        for j in range(width):
            out[i, j] = interpolated(turned, i + shift[0][i, j], j + shift[1][i, j], repeated)
    return clipped(out)


def repeated(i: int, length: int) -> int:
    """Index of a pixel outside the picture, the border pixel repeated: 1 0 | 0 1 2 | 2 1."""
    while not 0 <= i < length:
        i = -i - 1 if i < 0 else 2 * length - 1 - i
    return i


def interpolated(image: np.ndarray, row: float, column: float, index: Callable[[int, int], int]) -> np.ndarray:
    i, j = math.floor(row), math.floor(column)
    u, v = row - i, column - j
    corners = ((0, 0, (1 - u) * (1 - v)), (0, 1, (1 - u) * v), (1, 0, u * (1 - v)), (1, 1, u * v))
    height, width = image.shape[:2]
    return sum(w * image[index(i + di, height), index(j + dj, width)] for di, dj, w in corners)
