"""A linear layer that predicts the target itself."""

from typing import Literal

from torch import Tensor, nn

from rnc_lightning.targets import TargetSpec

_ERRORS = {"l1": nn.functional.l1_loss}


class PointHead(nn.Module):
    """One linear output a target dimension; the prediction is the output.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its D dimensions are the outputs.
        criterion: Error that is minimised: `l1`.

    Raises:
        ValueError: For an unknown criterion.

    >>> import torch
    >>> head = PointHead(in_features=4, target=TargetSpec({"age": {"unit": "years"}}))
    >>> outputs = head(torch.zeros(3, 4))
    >>> head.decode(outputs).shape, head.loss(outputs, torch.ones(3, 1)).shape
    (torch.Size([3, 1]), torch.Size([]))
    """

    def __init__(self, in_features: int, target: TargetSpec, criterion: Literal["l1"] = "l1") -> None:
        super().__init__()
        if criterion not in _ERRORS:
            raise ValueError(f"criterion must be one of {', '.join(_ERRORS)}, got {criterion!r}")
        self.linear = nn.Linear(in_features, len(target))
        self.criterion = criterion

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
        if outputs.shape != target.shape:
            raise ValueError(f"target {tuple(target.shape)} must have the shape of outputs {tuple(outputs.shape)}")
        per_sample = _ERRORS[self.criterion](outputs.float(), target.float(), reduction="none").mean(dim=1)
        return per_sample.mean() if weight is None else (weight * per_sample).mean()

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs (B, D) to the prediction (B, D) in label units: the same numbers."""
        return outputs
