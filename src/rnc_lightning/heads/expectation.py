"""A distribution over a grid of labels, decoded as its expectation: DEX, DLDL-v2, L2CS-Net and LDE.

DEX: R. Rothe, R. Timofte, L. Van Gool, IJCV 2018. DLDL-v2: B.-B. Gao et al., IJCAI 2018.
"""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.heads.point import point_error
from rnc_lightning.heads.reduction import batch_mean, check_rows, sample_means, without_missing
from rnc_lightning.numerics.checks import check_choice, check_positive_number
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import Grid, TargetSpec


def cross_entropy_to_bin(log_probabilities: Tensor, labels: Tensor, grid: Grid, left_edges: bool = False) -> Tensor:
    """Negative log-probability of each label's bin.

    Args:
        log_probabilities: (B, K).
        labels: (B,) in label units; outside the grid they count as its ends.
        grid: The K bin centres.
        left_edges: Whether the grid values are the lower edges of the bins instead of their centres.

    Returns:
        (B,).
    """
    bins = grid.bins(labels - grid.step / 2 if left_edges else labels)
    return -log_probabilities.gather(1, bins[:, None])[:, 0]


def divergence_from_gaussian(log_probabilities: Tensor, labels: Tensor, grid: Grid, sigma: float) -> Tensor:
    """KL(p || q), where p is a Gaussian around the label, evaluated at the centres and normalised over the grid.

    Args:
        log_probabilities: log q (B, K).
        labels: (B,) in label units; outside the grid they count as its ends.
        grid: The K bin centres.
        sigma: Standard deviation of the Gaussian, in bins.

    Returns:
        (B,).
    """
    distance = (grid.centres(log_probabilities) - grid.clamp(labels)[:, None].to(log_probabilities)) / grid.step
    log_p = F.log_softmax(-(distance**2) / (2 * sigma**2), dim=1)
    return (log_p.exp() * (log_p - log_probabilities)).sum(dim=1)


class ExpectationHead(nn.Module):
    """One softmax over the bins of each target dimension; the prediction is the expectation.

    The loss of a sample, averaged over its dimensions, is
    divergence from the label's distribution + expectation_weight * error of the expectation.

    DEX is `labels="hard"` without an expectation error. DLDL-v2 is `labels="gaussian"` with the L1 error, as in the
    paper (the released code also divides the first term by the number of bins). L2CS-Net is `labels="hard"` with the
    squared error (A. A. Abdelrahman et al., ICFSP 2023). LDE, label distribution encoding (W.-T. Chu, K.-C. Ho,
    A. Borji, WACV 2018), is `labels="gaussian"` without an expectation error: neither its kernel nor its width could be
    found, so both are a guess.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its grids are the bins.
        labels: Distribution of a label: its bin (`hard`) or a Gaussian around it (`gaussian`).
        sigma: Standard deviation of the Gaussian, in bins.
        expectation_error: `l1` or `mse` between the expectation and the label (clamped to the range of the bins), in
            label units; None for no such term.
        expectation_weight: Factor of that error.
        decode: `expected`, or `mode` for the centre of the most likely bin.
        left_edges: Bins lie between the grid values instead of around them and are decoded as their lower edges, as in
            the released code of L2CS-Net; predictions are then half a step too low on average. For hard labels only.

    Raises:
        ValueError: If a choice is unknown, sigma is not positive, or the range of the target is open.

    >>> head = ExpectationHead(in_features=4, target=TargetSpec({"age": {"low": 0, "high": 100}}))
    >>> outputs = torch.zeros(1, 101)
    >>> head.decode(outputs), head.loss(outputs, torch.tensor([[30.0]]))
    (tensor([[50.]]), tensor(4.6151))
    """

    def __init__(
        self,
        in_features: int,
        target: TargetSpec,
        labels: Literal["hard", "gaussian"] = "hard",
        sigma: float = 2.0,
        expectation_error: Literal["l1", "mse"] | None = None,
        expectation_weight: float = 1.0,
        decode: Literal["expected", "mode"] = "expected",
        left_edges: bool = False,
    ) -> None:
        super().__init__()
        check_choice("labels", labels, ("hard", "gaussian"))
        check_positive_number("sigma", sigma)
        check_choice("expectation_error", expectation_error, ("l1", "mse", None))
        check_choice("decode", decode, ("expected", "mode"))
        if left_edges and labels != "hard":
            raise ValueError("left_edges is for labels=hard: a Gaussian is centred on the label itself")
        self.target = target
        self.grids = [replace(grid, count=grid.count - 1) for grid in target.grids] if left_edges else target.grids
        self.left_edges = left_edges
        self.linear = nn.Linear(in_features, sum(grid.count for grid in self.grids))
        self.labels = labels
        self.sigma = sigma
        self.expectation_error: Literal["l1", "mse"] | None = expectation_error
        self.expectation_weight = expectation_weight
        self.decoding = decode

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, F) to the concatenated logits of all dimensions, (B, K_1 + ... + K_D)."""
        return self.linear(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Loss averaged over the dimensions of each sample, then over the batch.

        Args:
            outputs: (B, K_1 + ... + K_D), from `forward`.
            target: (B, D) in label units; outside the range of the bins they count as its ends.
            weight: (B,), one factor per sample; None for ones.

        Raises:
            ValueError: If the target is not (B, D).
        """
        self.target.check(target)
        check_rows(outputs, target)
        per_dimension = [
            self._sample_loss(logits, labels, grid)
            for logits, labels, grid in zip(
                self._split(outputs), without_missing(target).unbind(dim=1), self.grids, strict=True
            )
        ]
        return batch_mean(sample_means(torch.stack(per_dimension, dim=1), target), weight)

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs to predictions (B, D) in label units, always within the grid."""
        decode = _most_likely if self.decoding == "mode" else _expectation
        pairs = zip(self._split(outputs), self.grids, strict=True)
        return torch.stack([decode(logits, grid) for logits, grid in pairs], dim=1)

    def _sample_loss(self, logits: Tensor, labels: Tensor, grid: Grid) -> Tensor:
        log_probabilities = F.log_softmax(logits, dim=1)
        if self.labels == "hard":
            loss = cross_entropy_to_bin(log_probabilities, labels, grid, self.left_edges)
        else:
            loss = divergence_from_gaussian(log_probabilities, labels, grid, self.sigma)
        if self.expectation_error is None:
            return loss
        expected = _expectation(logits, grid)
        # The last of the bins that begin at the grid values ends one step beyond the last value.
        bounds = replace(grid, count=grid.count + 1) if self.left_edges else grid
        error = point_error(expected, bounds.clamp(labels).to(expected.dtype), self.expectation_error)
        return loss + self.expectation_weight * error

    def _split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        return torch.split(at_least_float32(outputs), [grid.count for grid in self.grids], dim=1)


def _most_likely(logits: Tensor, grid: Grid) -> Tensor:
    """Centre (B,) of the most likely bin."""
    return grid.centres(logits)[logits.argmax(dim=1)]


def _expectation(logits: Tensor, grid: Grid) -> Tensor:
    """Mean label (B,) of the distributions (B, K), clamped so that rounding cannot move it out of the grid."""
    ranks = torch.arange(grid.count, dtype=logits.dtype, device=logits.device)
    return grid.value((logits.softmax(dim=1) * ranks).sum(dim=1).clamp(0, grid.count - 1))
