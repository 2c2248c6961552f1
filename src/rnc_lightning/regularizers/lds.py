"""LDS: samples with rare labels get larger weights, based on the smoothed distribution of labels.

Y. Yang et al., Delving into Deep Imbalanced Regression, ICML 2021.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.numerics.checks import check_choice, check_whole_number
from rnc_lightning.regularizers.smoothing import Kernel, smoothing_window
from rnc_lightning.targets import TargetSpec

Reweighting = Literal["sqrt_inverse", "inverse"]
_FEWEST, _MOST = 5, 1000  # `inverse` clamps the counts to this range


def bin_weights(
    counts: Tensor,
    reweighting: Reweighting = "sqrt_inverse",
    window: Tensor | None = None,
    empty_bins: Sequence[int] | None = None,
) -> Tensor:
    """Weight of a sample in each bin: the inverse of the smoothed count, with mean 1 over the samples.

    Args:
        counts: (K,), number of samples in each bin.
        reweighting: Inverse of the square root of the count, or of the count clamped to 5 to 1000.
        window: Weights of neighbouring bins, an odd number, the largest in the middle; None for no smoothing.
        empty_bins: Number of empty bins below the first and above the last bin. None: as many as the window reaches.
            It makes no difference for `sqrt_inverse`, where an empty bin counts as 0; for `inverse` it counts as 5.

    Returns:
        (K,) float64; bins without training samples get the largest weight of the others.

    >>> bin_weights(torch.tensor([0, 100, 0, 0, 4]))
    tensor([4.3333, 0.8667, 4.3333, 4.3333, 4.3333], dtype=torch.float64)
    """
    counts = counts.double()
    reach = 0 if window is None else len(window) // 2
    below, above = (reach, reach) if empty_bins is None else empty_bins
    padded = F.pad(counts, (below, above))
    rarity = padded.sqrt() if reweighting == "sqrt_inverse" else padded.clamp(_FEWEST, _MOST)
    if window is not None:
        scaled = window.double() / window.max()
        rarity = F.conv1d(rarity[None, None], scaled[None, None], padding=reach)[0, 0]
    rarity = rarity[below : below + len(counts)]
    filled = counts > 0
    weights = torch.where(filled, 1 / rarity, 0)
    weights = torch.where(filled, weights, weights.max())
    return weights * counts.sum() / (weights * counts).sum()


class LDS(nn.Module):
    """Sample weights by label, fitted on the training labels.

    Args:
        target: The target, with one dimension; labels are counted by its bins.
        reweighting: `sqrt_inverse` or `inverse`.
        kernel: Smoothing window: `gaussian`, `triangle` or `laplace`; None for plain reweighting without LDS.
        size: Number of bins in the window, odd.
        sigma: Width of the window, in bins.
        empty_bins: For `inverse`, the number of empty bins below and above the target's bins; None: as many as the
            window reaches. The released code for ages has bins from 0 to 120: `(0, 19)` for a grid from 0 to 101.

    Raises:
        ValueError: If the target has more than one dimension (not defined in the paper) or an open range, or an
            argument is out of range.
    """

    weights: Tensor

    def __init__(
        self,
        target: TargetSpec,
        reweighting: Reweighting = "sqrt_inverse",
        kernel: Kernel | None = "gaussian",
        size: int = 5,
        sigma: float = 2.0,
        empty_bins: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        target.check_single("LDS")
        check_choice("reweighting", reweighting, ("sqrt_inverse", "inverse"))
        if empty_bins is not None:
            if len(empty_bins) != 2:
                raise ValueError(f"empty_bins must be two numbers, below and above, or null, got {list(empty_bins)}")
            for number in empty_bins:
                check_whole_number("empty_bins", number, least=0)
        self.target = target
        self.empty_bins = empty_bins
        self.reweighting: Reweighting = reweighting
        self.window = None if kernel is None else smoothing_window(kernel, size, sigma)
        self.register_buffer("weights", torch.ones(target.grids[0].count))

    def fit_labels(self, labels: Tensor) -> None:
        """Compute the weights from the training labels (N, 1)."""
        bins = self.target.bins(labels)[:, 0]
        counts = bins.bincount(minlength=len(self.weights)).cpu()
        self.weights.copy_(bin_weights(counts, self.reweighting, self.window, self.empty_bins))

    def forward(self, targets: Tensor) -> Tensor:
        """Weight (B,) of samples with targets (B, 1)."""
        return self.weights[self.target.bins(targets)[:, 0]]
