"""A linear layer that predicts the target itself: L1, MSE and Huber regression."""

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.heads.reduction import batch_mean, check_shape
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import TargetSpec

Criterion = Literal["l1", "mse", "huber"]


def point_error(outputs: Tensor, target: Tensor, criterion: Criterion, delta: float = 1.0) -> Tensor:
    """Error of every output, unreduced: |e|, e^2, or Huber's e^2/2 within delta and delta (|e| - delta/2) beyond.

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


class PointHead(nn.Module):
    """One linear output a target dimension; the prediction is the output.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its D dimensions are the outputs.
        criterion: Error that is minimised: `l1`, `mse` or `huber`.
        delta: Where Huber's error turns from square to linear, in label units.

    Raises:
        ValueError: For an unknown criterion or a delta that is not positive.

    >>> import torch
    >>> head = PointHead(in_features=4, target=TargetSpec({"age": {"unit": "years"}}))
    >>> outputs = head(torch.zeros(3, 4))
    >>> head.decode(outputs).shape, head.loss(outputs, torch.ones(3, 1)).shape
    (torch.Size([3, 1]), torch.Size([]))
    """

    def __init__(self, in_features: int, target: TargetSpec, criterion: Criterion = "l1", delta: float = 1.0) -> None:
        super().__init__()
        if criterion not in ("l1", "mse", "huber"):
            raise ValueError(f"criterion must be l1, mse or huber, got {criterion!r}")
        if not delta > 0:
            raise ValueError(f"delta must be positive, got {delta}")
        self.linear = nn.Linear(in_features, len(target))
        self.criterion: Criterion = criterion
        self.delta = delta

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, F) to outputs (B, D)."""
        return self.linear(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the batch of each sample's mean error over its dimensions.

        Args:
            outputs: (B, D), from `forward`.
            target: (B, D) in label units.
            weight: (B,), one factor a sample; None for ones.

        Raises:
            ValueError: Where the shapes differ, since they would broadcast in silence.
        """
        check_shape(outputs, target)
        outputs = at_least_float32(outputs)
        error = point_error(outputs, target.to(outputs.dtype), self.criterion, self.delta)
        return batch_mean(error.mean(dim=1), weight)

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs (B, D) to the prediction (B, D) in label units: the same numbers, bounded by nothing."""
        return outputs
