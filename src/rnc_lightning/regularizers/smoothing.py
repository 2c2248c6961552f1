"""Windows that smooth label and feature distributions over neighbouring bins (Yang et al., ICML 2021)."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from rnc_lightning.numerics.checks import check_choice, check_positive_number

Kernel = Literal["gaussian", "triangle", "laplace"]


def smoothing_window(kernel: Kernel, size: int, sigma: float) -> Tensor:
    """A symmetric window (size,) float64, not normalised.

    The Gaussian window is a unit spike filtered within the window with reflection at its ends, as in the released code:
    for 5 bins and sigma 2 it is flatter than the Gaussian formula.

    Args:
        kernel: `gaussian`, `triangle` or `laplace`.
        size: Number of bins, odd.
        sigma: Width of the Gaussian or Laplace distribution, in bins; the triangle does not use it.

    Raises:
        ValueError: If the kernel is unknown, the size is not odd, or sigma is not positive.

    >>> window = smoothing_window("gaussian", 5, 2.0)
    >>> (window / window.max()).tolist()
    [0.858..., 0.945..., 1.0, 0.945..., 0.858...]
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise ValueError(f"size must be an odd whole number of bins, got {size}")
    check_positive_number("sigma", sigma)
    check_choice("kernel", kernel, ("gaussian", "triangle", "laplace"))
    if kernel == "gaussian":
        from scipy.ndimage import gaussian_filter1d

        spike = np.zeros(size)
        spike[size // 2] = 1.0
        return torch.from_numpy(gaussian_filter1d(spike, sigma))
    if kernel == "triangle":
        from scipy.signal.windows import triang  # takes seconds to import and is rarely needed

        return torch.from_numpy(triang(size))
    return torch.exp(-(torch.arange(size, dtype=torch.float64) - size // 2).abs() / sigma)
