"""A distribution over a grid of labels, decoded as its expectation: DEX, DLDL-v2 and their kin.

DEX: R. Rothe, R. Timofte, L. Van Gool, IJCV 2018. DLDL-v2: B.-B. Gao et al., IJCAI 2018.
"""

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.heads.point import point_error
from rnc_lightning.heads.reduction import batch_mean, check_rows
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.targets import Grid, TargetSpec


def cross_entropy_to_bin(log_probabilities: Tensor, labels: Tensor, grid: Grid, left_edges: bool = False) -> Tensor:
    """Minus the log-probability of each label's own bin.

    Args:
        log_probabilities: (B, K).
        labels: (B,) in label units; outside the grid they count as its ends.
        grid: The K bin centres.
        left_edges: Whether the grid's values are the lower ends of the bins, not their centres.

    Returns:
        (B,).
    """
    bins = grid.bins(labels - grid.step / 2 if left_edges else labels)
    return -log_probabilities.gather(1, bins[:, None])[:, 0]


def divergence_from_gaussian(log_probabilities: Tensor, labels: Tensor, grid: Grid, sigma: float) -> Tensor:
    """KL(p || q), where p is a Gaussian around the label, taken at the centres and normalised over the grid.

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

    The loss of a sample is, averaged over its dimensions,
    divergence from the label's distribution + expectation_weight * error of the expectation.

    DEX is `labels="hard"` without an expectation error; DLDL-v2 is `labels="gaussian"` with the L1 error, in the form
    of the paper (both terms a sample; the released code divides the first by the number of bins as well). L2CS-Net is
    `labels="hard"` with the squared error (A. A. Abdelrahman et al., ICFSP 2023). LDE, label distribution encoding
    (W.-T. Chu, K.-C. Ho, A. Borji, WACV 2018), is `labels="gaussian"` without an expectation error: neither its kernel
    nor its width could be found, so both are a guess.

    Args:
        in_features: Width F of the features.
        target: What is predicted; its grids are the bins.
        labels: Distribution that a label stands for: its own bin (`hard`) or a Gaussian around it (`gaussian`).
        sigma: Standard deviation of the Gaussian, in bins.
        expectation_error: `l1` or `mse` of the expectation against the label (moved into the grid), in label
            units; None for none.
        expectation_weight: Factor of that error.
        decode: `expected`, or `mode` for the centre of the likeliest bin.
        left_edges: As in the released code of L2CS-Net: bins lie between the grid's values instead of around them, and
            each stands for its lower end, so that predictions are half a step too low on average. For hard labels.

    Raises:
        ValueError: For an unknown choice, a sigma that is not positive, or a target whose range is open.

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
        if labels not in ("hard", "gaussian"):
            raise ValueError(f"labels must be hard or gaussian, got {labels!r}")
        if not sigma > 0:
            raise ValueError(f"sigma must be positive, got {sigma}")
        if expectation_error not in (None, "l1", "mse"):
            raise ValueError(f"expectation_error must be l1, mse or null, got {expectation_error!r}")
        if decode not in ("expected", "mode"):
            raise ValueError(f"decode must be expected or mode, got {decode!r}")
        if left_edges and labels != "hard":
            raise ValueError("left_edges is for hard labels: a Gaussian lies around the label itself")
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
        """Features (B, F) to the logits of all dimensions side by side, (B, K_1 + ... + K_D)."""
        return self.linear(features)

    def loss(self, outputs: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        """Mean over the batch of each sample's mean loss over its dimensions.

        Args:
            outputs: (B, K_1 + ... + K_D), from `forward`.
            target: (B, D) in label units; outside the grid they count as its ends.
            weight: (B,), one factor a sample; None for ones.

        Raises:
            ValueError: Where the target is not (B, D).
        """
        self.target.check(target)
        check_rows(outputs, target)
        per_dimension = [
            self._sample_loss(logits, labels, grid)
            for logits, labels, grid in zip(self._split(outputs), target.unbind(dim=1), self.grids, strict=True)
        ]
        return batch_mean(torch.stack(per_dimension, dim=1).mean(dim=1), weight)

    def decode(self, outputs: Tensor) -> Tensor:
        """Outputs to the prediction (B, D) in label units, always within the grid."""
        decode = _likeliest if self.decoding == "mode" else _expectation
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
        error = point_error(expected, grid.clamp(labels).to(expected.dtype), self.expectation_error)
        return loss + self.expectation_weight * error

    def _split(self, outputs: Tensor) -> tuple[Tensor, ...]:
        return torch.split(at_least_float32(outputs), [grid.count for grid in self.grids], dim=1)


def _likeliest(logits: Tensor, grid: Grid) -> Tensor:
    """Centre (B,) of the likeliest bin."""
    return grid.centres(logits)[logits.argmax(dim=1)]


def _expectation(logits: Tensor, grid: Grid) -> Tensor:
    """Mean label (B,) of the distributions (B, K); rounding cannot take it out of the grid."""
    ranks = torch.arange(grid.count, dtype=logits.dtype, device=logits.device)
    return grid.value((logits.softmax(dim=1) * ranks).sum(dim=1).clamp(0, grid.count - 1))
