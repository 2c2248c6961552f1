"""Reduction shared by all heads: each sample is reduced first, so that sample weights work with every loss.

Shapes are checked because tensors of different shapes would broadcast without an error.
"""

import torch
from torch import Tensor


def check_rows(outputs: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless target and outputs have the same number of rows."""
    if len(outputs) != len(target):
        raise ValueError(f"target {tuple(target.shape)} must have as many rows as outputs {tuple(outputs.shape)}")


def check_shape(outputs: Tensor, target: Tensor) -> None:
    """Raise a ValueError unless target and outputs have the same shape."""
    if outputs.shape != target.shape:
        raise ValueError(f"target {tuple(target.shape)} must have the shape of outputs {tuple(outputs.shape)}")


def sample_means(losses: Tensor, target: Tensor) -> Tensor:
    """Mean (B,) of the losses (B, D) of each sample over its dimensions, without those whose label is missing (NaN).

    >>> sample_means(torch.tensor([[1.0, 3.0], [5.0, 7.0]]), torch.tensor([[0.0, 0.0], [0.0, torch.nan]]))
    tensor([2., 5.])
    """
    if losses.shape[1] == 1:
        return losses[:, 0]
    labelled = ~target.isnan()
    return torch.where(labelled, losses, 0).sum(dim=1) / labelled.sum(dim=1).clamp(min=1)


def without_missing(target: Tensor) -> Tensor:
    """The target (B, D) with any number in place of missing labels (NaN), whose losses `sample_means` leaves out."""
    return target if target.shape[1] == 1 else target.nan_to_num(nan=0.0)


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
