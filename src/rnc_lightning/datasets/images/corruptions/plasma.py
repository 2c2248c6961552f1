"""Cloud-like random textures by midpoint displacement (diamond-square)."""

import numpy as np

_FIRST = 100.0  # the first displacements are at most its square; only ratios matter in the end


def plasma(height: int, width: int, decay: float, generator: np.random.Generator) -> np.ndarray:
    """A texture with strong large structures and weak small ones.

    It is the corner of a square that tiles seamlessly. The square's side is the smallest power of two that covers the
    longer side: 256 for an image of 224, as in ImageNet-C.

    Args:
        height: Rows.
        width: Columns.
        decay: The range of the random displacements is divided by its square with each halving of the spacing.
        generator: Draws the displacements.

    Returns:
        (height, width) float64 in [0, 1]; 0 and 1 occur in the square, but not always in its corner.
    """
    grid = np.zeros((1, 1))
    amplitude = _FIRST
    while len(grid) < max(height, width, 2):
        grid = _refined(grid, amplitude**2, generator)
        amplitude /= decay
    grid -= grid.min()
    return grid[:height, :width] / grid.max()


def _refined(grid: np.ndarray, reach: float, generator: np.random.Generator) -> np.ndarray:
    """(N, N) to (2N, 2N): new points are the mean of their four neighbours, displaced by at most `reach`."""
    size = len(grid)
    noise = generator.uniform(-reach, reach, size=(3, size, size))
    right, below = np.roll(grid, -1, axis=1), np.roll(grid, -1, axis=0)
    centre = (grid + right + below + np.roll(right, -1, axis=0)) / 4 + noise[0]
    fine = np.empty((2 * size, 2 * size))
    fine[::2, ::2] = grid
    fine[1::2, 1::2] = centre
    fine[::2, 1::2] = (grid + right + centre + np.roll(centre, 1, axis=0)) / 4 + noise[1]
    fine[1::2, ::2] = (grid + below + centre + np.roll(centre, 1, axis=1)) / 4 + noise[2]
    return fine
