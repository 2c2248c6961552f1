"""LDS: samples with rare labels count more, where rare is judged by the smoothed distribution of labels.

Y. Yang et al., Delving into Deep Imbalanced Regression, ICML 2021.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.regularizers.smoothing import Kernel, smoothing_window
from rnc_lightning.targets import TargetSpec

Reweighting = Literal["sqrt_inverse", "inverse"]
_FEWEST, _MOST = 5, 1000  # what `inverse` takes for fewer or more samples


def bin_weights(counts: Tensor, reweighting: Reweighting = "sqrt_inverse", window: Tensor | None = None) -> Tensor:
    """Weight of a sample in each bin: one over the smoothed count, with mean 1 over the samples.

    Args:
        counts: (K,), samples in each bin.
        reweighting: By the count's square root, or by the count, which then lies between 5 and 1000.
        window: Weights of neighbouring bins, an odd number, the largest in the middle; None does not smooth.

    Returns:
        (K,) float64; bins without samples, which no training sample asks for, have the greatest weight of the others.

    >>> bin_weights(torch.tensor([0, 100, 0, 0, 4]))
    tensor([4.3333, 0.8667, 4.3333, 4.3333, 4.3333], dtype=torch.float64)
    """
    counts = counts.double()
    rarity = counts.sqrt() if reweighting == "sqrt_inverse" else counts.clamp(_FEWEST, _MOST)
    if window is not None:
        scaled = window.double() / window.max()
        rarity = F.conv1d(rarity[None, None], scaled[None, None], padding=len(window) // 2)[0, 0]
    filled = counts > 0
    weights = torch.where(filled, 1 / rarity, 0)
    weights = torch.where(filled, weights, weights.max())
    return weights * counts.sum() / (weights * counts).sum()


class LDS(nn.Module):
    """Weights of samples by their label, fitted on the training labels.

    Args:
        target: What is regressed, of one dimension; its bins are those of the distribution.
        reweighting: `sqrt_inverse` or `inverse`.
        kernel: Smoothing window, `gaussian`, `triangle` or `laplace`; None for plain reweighting without LDS.
        size: Bins of the window, odd.
        sigma: Width of the window, in bins.

    Raises:
        ValueError: For a target of more than one dimension, for which the paper defines nothing; for a range that is
            open; for an argument out of its range.
    """

    weights: Tensor

    def __init__(
        self,
        target: TargetSpec,
        reweighting: Reweighting = "sqrt_inverse",
        kernel: Kernel | None = "gaussian",
        size: int = 5,
        sigma: float = 2.0,
    ) -> None:
        super().__init__()
        target.check_single("LDS")
        if reweighting not in ("sqrt_inverse", "inverse"):
            raise ValueError(f"reweighting must be sqrt_inverse or inverse, got {reweighting!r}")
        self.target = target
        self.reweighting: Reweighting = reweighting
        self.window = None if kernel is None else smoothing_window(kernel, size, sigma)
        self.register_buffer("weights", torch.ones(target.grids[0].count))

    def fit_labels(self, labels: Tensor) -> None:
        """Count the training labels (N, 1)."""
        bins = self.target.bins(labels)[:, 0]
        counts = bins.bincount(minlength=len(self.weights)).cpu()
        self.weights.copy_(bin_weights(counts, self.reweighting, self.window))

    def forward(self, targets: Tensor) -> Tensor:
        """Weight (B,) of samples with targets (B, 1)."""
        return self.weights[self.target.bins(targets)[:, 0]]
