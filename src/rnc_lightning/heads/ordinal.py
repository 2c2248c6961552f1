"""Ordinal regression by one binary question per threshold, "is the label above it?": OR and CORN.

OR: Z. Niu et al., CVPR 2016. CORN: X. Shi, W. Cao, S. Raschka, Pattern Analysis and Applications 2023.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.heads.reduction import batch_mean, check_rows, sample_means, without_missing
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_choice
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import Grid, TargetSpec


def threshold_losses(logits: Tensor, bins: Tensor) -> Tensor:
    """Binary cross-entropy of every question, without reduction.

    Args:
        logits: (B, K - 1); the t-th is for "the rank is above t".
        bins: Ranks (B,), 0 to K - 1.

    Returns:
        (B, K - 1).
    """
    above = bins[:, None] > torch.arange(logits.shape[1], device=logits.device)
    return F.binary_cross_entropy_with_logits(logits, above.to(logits.dtype), reduction="none")


def asked_questions(bins: Tensor, thresholds: int) -> Tensor:
    """Which questions CORN asks of a sample: the t-th only if the rank is above t - 1.

    Returns:
        (B, thresholds), bool.
    """
    return bins[:, None] >= torch.arange(thresholds, device=bins.device)


class OrdinalHead(nn.Module):
    """Binary questions at the thresholds of each target dimension; the prediction counts the positive answers.

    The thresholds lie halfway between the centres of the target's grid, so the rank of a label is its bin and
    counting is off by half a step at most.

    OR asks every question of every sample: the loss of a sample is the sum over the questions. CORN (`conditional`)
    asks "above r_t?" only of samples above r_{t-1}; its loss is the sum over all questions asked in the batch, divided
    by their number, and P(y > r_t) is the product of the answers up to t. Both are averaged over the dimensions.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its grids are the ranks.
        conditional: CORN if true, else OR.
        decode: `count` of the questions with a probability above one half, or `expected` for the sum of the
            probabilities, which need not be a centre of the grid.
        task_weights: `none`, or `sqrt_frequency` for OR's weight of a question: the square root of the number of
            training samples at its rank (at least one). They are scaled to a mean of one, so that the learning rate
            can stay the same (the paper's sum to one), and are ones until `fit_labels` is called.

    Raises:
        ValueError: If a choice is unknown, CORN gets task weights, or the range of the target is open.

    >>> head = OrdinalHead(in_features=4, target=TargetSpec({"rank": {"low": 0, "high": 2}}))
    >>> outputs = torch.tensor([[1.0, -1.0], [2.0, 0.0], [0.0, 3.0]])
    >>> head.decode(outputs).flatten().tolist(), head.loss(outputs, torch.tensor([[0.0], [1.0], [2.0]]))
    ([1.0, 1.0, 1.0], tensor(1.0628))
    """

    task_weights: Tensor

    def __init__(
        self,
        in_features: int,
        target: TargetSpec,
        conditional: bool = False,
        decode: Literal["count", "expected"] = "count",
        task_weights: Literal["none", "sqrt_frequency"] = "none",
    ) -> None:
        super().__init__()
        check_choice("decode", decode, ("count", "expected"))
        check_choice("task_weights", task_weights, ("none", "sqrt_frequency"))
        if conditional and task_weights != "none":
            raise ValueError("task_weights are defined for OR; CORN (conditional) has none")
        self.target = target
        self.grids = target.grids
        thresholds = sum(grid.count - 1 for grid in self.grids)
        self.linear = nn.Linear(in_features, thresholds)
        self.conditional = conditional
        self.decoding = decode
        self.weighting = task_weights
        self.register_buffer("task_weights", torch.ones(thresholds))

    def fit_labels(self, labels: Tensor) -> None:
        """Compute the task weights from the training labels (N, D)."""
        if self.weighting == "none":
            return
        bins, labelled = self.target.bins(labels), ~labels.isnan()
        weights = []
        for column, present, grid in zip(bins.unbind(dim=1), labelled.unbind(dim=1), self.grids, strict=True):
            roots = column[present].bincount(minlength=grid.count)[:-1].clamp(min=1).double().sqrt()
            weights.append(roots / roots.mean())
        self.task_weights.copy_(torch.cat(weights))

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, F) to the concatenated logits of all dimensions, (B, (K_1 - 1) + ... + (K_D - 1))."""
        return self.linear(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Loss averaged over the dimensions of each sample, then over the batch.

        Args:
            outputs: From `forward`.
            target: (B, D) in label units; outside the grid they count as its ends.
            weight: (B,), one factor per sample; None for ones.

        Raises:
            ValueError: If the target is not (B, D).
        """
        self.target.check(target)
        check_rows(outputs, target)
        bins = self.target.bins(without_missing(target))
        labelled = ~target.isnan()
        weights = torch.split(self.task_weights, [grid.count - 1 for grid in self.grids])
        per_dimension = []
        columns = zip(self._split(outputs), bins.unbind(dim=1), labelled.unbind(dim=1), weights, strict=True)
        for logits, column, present, tasks in columns:
            losses = threshold_losses(logits, column)
            if self.conditional:
                mask = asked_questions(column, logits.shape[1]) & present[:, None]
                # Over all processes: with its own mean, a process that asks few questions would weight them too much.
                counts = torch.stack([present.sum(), mask.sum()])
                samples, questions = distributed.sum_over_processes(counts).unbind()
                per_dimension.append((losses * mask).sum(dim=1) * samples / questions.clamp(min=1))
            else:
                per_dimension.append((losses * tasks).sum(dim=1))
        return batch_mean(sample_means(torch.stack(per_dimension, dim=1), target), weight)

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs to predictions (B, D) in label units, always within the grid."""
        pairs = zip(self._split(outputs), self.grids, strict=True)
        return torch.stack([self._decode(logits, grid) for logits, grid in pairs], dim=1)

    def _decode(self, logits: Tensor, grid: Grid) -> Tensor:
        log_above = F.logsigmoid(logits)
        if self.conditional:
            log_above = log_above.cumsum(dim=1)  # a product of 100 probabilities would underflow
            above = log_above > -torch.log(logits.new_tensor(2.0))
        else:
            above = logits > 0
        rank = above.sum(dim=1).to(logits.dtype) if self.decoding == "count" else log_above.exp().sum(dim=1)
        return grid.value(rank)

    def _split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        return torch.split(at_least_float32(outputs), [grid.count - 1 for grid in self.grids], dim=1)
