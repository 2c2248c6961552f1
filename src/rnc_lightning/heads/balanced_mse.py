"""Balanced MSE: squared error that compensates for labels that are rare in training.

J. Ren et al., Balanced MSE for Imbalanced Visual Regression, CVPR 2022; the batch-based variant (BMC). With
l_ij = -|prediction_i - y_j|^2 / (2 sigma^2) over the labels j of the batch,

    L = 2 sigma^2 * mean_i ( log sum_j exp l_ij - l_ii )

where the factor 2 sigma^2 takes no gradient.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rnc_lightning.heads.point import LinearHead
from rnc_lightning.heads.reduction import batch_mean, check_shape
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_positive_number
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import TargetSpec
from rnc_lightning.targets.missing import has_all_labels


def balanced_mse(outputs: Tensor, target: Tensor, labels: Tensor, sigma: Tensor) -> Tensor:
    """Balanced MSE of each sample, without reduction.

    Args:
        outputs: Predictions (B, D).
        target: (B, D).
        labels: (N, D), all labels of the batch, including `target`.
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


class BalancedMSEHead(LinearHead):
    """One linear output per target dimension, trained with Balanced MSE; the prediction is the output.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its D dimensions are the outputs.
        sigma: Initial noise scale, in label units.
        sigma_lr: Learning rate of the noise scale; None keeps it fixed.

    Raises:
        ValueError: If sigma or its learning rate is not positive.
    """

    def __init__(self, in_features: int, target: TargetSpec, sigma: float = 1.0, sigma_lr: float | None = 0.01) -> None:
        super().__init__(in_features, target)
        check_positive_number("sigma", sigma)
        if sigma_lr is not None:
            check_positive_number("sigma_lr", sigma_lr)
        self.sigma = nn.Parameter(torch.tensor(float(sigma)), requires_grad=sigma_lr is not None)
        self.sigma_lr = sigma_lr

    def optimizer_groups(self) -> list[dict[str, Any]]:
        """Optimiser group of the noise scale, without weight decay."""
        if self.sigma_lr is None:
            return []
        return [{"params": [self.sigma], "lr": self.sigma_lr, "weight_decay": 0.0}]

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the batch, computed with the labels of all processes.

        Args:
            outputs: (B, D), from `forward`.
            target: (B, D) in the units of `decode`; samples with a missing label (NaN) are left out.
            weight: (B,), one factor per sample; None for ones.

        Raises:
            ValueError: If the shapes differ.
        """
        check_shape(outputs, target)
        outputs = at_least_float32(outputs)
        if target.shape[1] > 1:
            complete = has_all_labels(target)
            outputs, target = outputs[complete], target[complete]
            weight = None if weight is None else weight[complete]
        target = target.to(outputs.dtype)
        losses = balanced_mse(outputs, target, distributed.gather_rows(target), self.sigma.to(outputs.dtype))
        return batch_mean(losses, weight) if len(losses) else outputs.sum() * 0
