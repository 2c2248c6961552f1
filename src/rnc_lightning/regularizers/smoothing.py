"""Windows by which label and feature distributions are smoothed over neighbouring bins (Yang et al., ICML 2021)."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

Kernel = Literal["gaussian", "triangle", "laplace"]


def smoothing_window(kernel: Kernel, size: int, sigma: float) -> Tensor:
    """A symmetric window over `size` bins, float64, in no particular scale.

    The Gaussian is what a filter of that width makes of a single spike within the window, reflected at its ends, as in
    the released code: for 5 bins and sigma 2 it is flatter than the Gaussian's formula.

    Args:
        kernel: `gaussian`, `triangle` or `laplace`.
        size: Number of bins, odd.
        sigma: Width of the Gaussian or the Laplace distribution, in bins; the triangle has none.

    Raises:
        ValueError: For another kernel, an even size, or a sigma that is not positive.

    >>> window = smoothing_window("gaussian", 5, 2.0)
    >>> (window / window.max()).tolist()
    [0.858..., 0.945..., 1.0, 0.945..., 0.858...]
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ValueError(f"size must be an odd whole number of bins, got {size}")
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}")
    if kernel == "gaussian":
        from scipy.ndimage import gaussian_filter1d

        spike = np.zeros(size)
        spike[size // 2] = 1.0
        return torch.from_numpy(gaussian_filter1d(spike, sigma))
    if kernel == "triangle":
        from scipy.signal.windows import triang  # takes seconds to load, and no other regularizer needs it

        return torch.from_numpy(triang(size))
    if kernel == "laplace":
        return torch.exp(-(torch.arange(size, dtype=torch.float64) - size // 2).abs() / sigma)
    raise ValueError(f"kernel must be gaussian, triangle or laplace, got {kernel!r}")
