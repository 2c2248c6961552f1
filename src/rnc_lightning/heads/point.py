"""A linear layer that predicts the target itself: L1, MSE and Huber regression."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.heads.reduction import batch_mean, check_shape, sample_means, without_missing
from rnc_lightning.numerics.checks import check_choice, check_positive_number
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import TargetSpec

Criterion = Literal["l1", "mse", "huber"]


def point_error(outputs: Tensor, target: Tensor, criterion: Criterion, delta: float = 1.0) -> Tensor:
    """Error of each output, without reduction: |e|, e^2, or Huber's e^2/2 up to delta and delta (|e| - delta/2) beyond.

    Args:
        outputs: (B, D).
        target: (B, D), in the same units.
        criterion: `l1`, `mse` or `huber`.
        delta: Where Huber's error turns from square to linear, in label units.

    Returns:
        (B, D).
    """
    if criterion == "l1":
        return F.l1_loss(outputs, target, reduction="none")
    if criterion == "mse":
        return F.mse_loss(outputs, target, reduction="none")
    return F.huber_loss(outputs, target, reduction="none", delta=delta)


class LinearHead(nn.Module):
    """One linear output per target dimension; the prediction is the output. Subclasses define the loss."""

    def __init__(self, in_features: int, target: TargetSpec) -> None:
        super().__init__()
        self.linear = nn.Linear(in_features, len(target))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, F) to outputs (B, D)."""
        return self.linear(features)

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs (B, D) to predictions (B, D) in label units: the same numbers, without bounds."""
        return outputs


class PointHead(LinearHead):
    """A linear head with the L1, squared or Huber error.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its D dimensions are the outputs.
        criterion: Error to minimise: `l1`, `mse` or `huber`.
        delta: Where Huber's error turns from square to linear, in label units.

    Raises:
        ValueError: If the criterion is unknown or delta is not positive.

    >>> import torch
    >>> head = PointHead(in_features=4, target=TargetSpec({"age": {"unit": "years"}}))
    >>> outputs = head(torch.zeros(3, 4))
    >>> head.decode(outputs).shape, head.loss(outputs, torch.ones(3, 1)).shape
    (torch.Size([3, 1]), torch.Size([]))
    """

    def __init__(self, in_features: int, target: TargetSpec, criterion: Criterion = "l1", delta: float = 1.0) -> None:
        super().__init__(in_features, target)
        check_choice("criterion", criterion, ("l1", "mse", "huber"))
        check_positive_number("delta", delta)
        self.criterion: Criterion = criterion
        self.delta = delta

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Error averaged over the dimensions of each sample, then over the batch.

        Args:
            outputs: (B, D), from `forward`.
            target: (B, D) in label units.
            weight: (B,), one factor per sample; None for ones.

        Raises:
            ValueError: If the shapes differ.
        """
        check_shape(outputs, target)
        outputs = at_least_float32(outputs)
        error = point_error(outputs, without_missing(target).to(outputs.dtype), self.criterion, self.delta)
        return batch_mean(sample_means(error, target), weight)
