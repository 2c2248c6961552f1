"""Balanced MSE: squared error that makes up for labels which are rare in training.

J. Ren et al., Balanced MSE for Imbalanced Visual Regression, CVPR 2022; the batch-based variant (BMC). With
l_ij = -|prediction_i - y_j|^2 / (2 sigma^2) over the labels j of the batch,

    L = 2 sigma^2 * mean_i ( log sum_j exp l_ij - l_ii )

where the factor has no gradient.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rnc_lightning.heads.reduction import batch_mean, check_shape
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import TargetSpec


def balanced_mse(outputs: Tensor, target: Tensor, labels: Tensor, sigma: Tensor) -> Tensor:
    """Balanced MSE of every sample, unreduced.

    Args:
        outputs: Predictions (B, D).
        target: (B, D).
        labels: (N, D), all labels of the batch, those of `target` among them.
        sigma: Noise scale, a positive scalar, in label units.

    Returns:
        (B,).

    >>> rows = torch.tensor([[0.0], [2.0]])
    >>> round(balanced_mse(rows, rows, rows, torch.tensor(1.0)).mean().item(), 6)
    0.253856
    """
    spread = 2 * sigma.square()
    logits = -(outputs[:, None] - labels).square().sum(dim=2) / spread
    own = -(outputs - target).square().sum(dim=1) / spread
    return (logits.logsumexp(dim=1) - own) * spread.detach()


class BalancedMSEHead(nn.Module):
    """One linear output a target dimension, trained by Balanced MSE; the prediction is the output.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its D dimensions are the outputs.
        sigma: Noise scale at the start, in label units.
        sigma_lr: Learning rate of the noise scale; None keeps it as it is.

    Raises:
        ValueError: For a sigma or rate that is not positive.
    """

    def __init__(self, in_features: int, target: TargetSpec, sigma: float = 1.0, sigma_lr: float | None = 0.01) -> None:
        super().__init__()
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        if sigma_lr is not None and not sigma_lr > 0:
            raise ValueError(f"sigma_lr must be positive or null, got {sigma_lr}")
        self.linear = nn.Linear(in_features, len(target))
        self.sigma = nn.Parameter(torch.tensor(float(sigma)), requires_grad=sigma_lr is not None)
        self.sigma_lr = sigma_lr

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """The noise scale's group for the optimiser, without weight decay."""
        if self.sigma_lr is None:
            return []
        return [{"params": [self.sigma], "lr": self.sigma_lr, "weight_decay": 0.0}]

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, F) to outputs (B, D)."""
        return self.linear(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the batch, against the labels of all processes.

        Args:
            outputs: (B, D), from `forward`.
            target: (B, D) in label units.
            weight: (B,), one factor a sample; None for ones.

        Raises:
            ValueError: Where the shapes differ, since they would broadcast in silence.
        """
        check_shape(outputs, target)
        outputs = at_least_float32(outputs)
        target = target.to(outputs.dtype)
        losses = balanced_mse(outputs, target, distributed.gather_rows(target), self.sigma.to(outputs.dtype))
        return batch_mean(losses, weight)

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs (B, D) to the prediction (B, D) in label units: the same numbers, bounded by nothing."""
        return outputs
