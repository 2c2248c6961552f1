"""Reduction shared by all heads: each sample is reduced first, so that sample weights work with every loss.

Shapes are checked because tensors of different shapes would broadcast without an error.
"""

from torch import Tensor


def check_rows(outputs: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless target and outputs have the same number of rows."""
    if len(outputs) != len(target):
        raise ValueError(f"target {tuple(target.shape)} must have as many rows as outputs {tuple(outputs.shape)}")


def check_shape(outputs: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless target and outputs have the same shape."""
    if outputs.shape != target.shape:
        raise ValueError(f"target {tuple(target.shape)} must have the shape of outputs {tuple(outputs.shape)}")


def batch_mean(per_sample: Tensor, weight: Tensor | None) -> Tensor:
    """Mean over the batch of the losses (B,), each multiplied by its weight (B,).

    Raises:
        ValueError: If the weights are not (B,).
    """
    if weight is None:
        return per_sample.mean()
    if weight.shape != per_sample.shape:
        raise ValueError(f"weight must be ({len(per_sample)},), one factor per sample, got {tuple(weight.shape)}")
    return (weight * per_sample).mean()
