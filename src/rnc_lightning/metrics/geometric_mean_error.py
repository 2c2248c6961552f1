"""Geometric mean of the absolute errors: the GM column in papers on imbalanced regression."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnc_lightning.metrics.per_dimension import PerDimension, as_wide_columns
from rnc_lightning.numerics.checks import check_finite_number

ZERO_FLOOR = 1e-10


def geometric_mean_error(predictions: Tensor, targets: Tensor, zero_floor: float = ZERO_FLOOR) -> Tensor:
    """Geometric mean of the absolute errors, `exp(mean ln |prediction - target|)`.

    A single error of exactly zero makes the geometric mean zero. That happens often if predictions and targets are
    whole numbers. So errors of exactly zero, and only those, are replaced by `zero_floor`, as in newer papers;
    `zero_floor=0` is the plain definition.

    Args:
        predictions: (B,) or (B, D), in the targets' units.
        targets: Same shape as `predictions`; NaN for a missing label, which is ignored.
        zero_floor: Replacement for an error of exactly zero, in the targets' units.

    Returns:
        A float64 scalar in the targets' units, NaN for no samples. For D > 1 the mean over the dimensions with labels.

    Raises:
        ValueError: If the shapes differ or have more than two dimensions, or `zero_floor` is negative.

    Example:
        >>> geometric_mean_error(torch.tensor([2.0, 8.0, 4.0]), torch.zeros(3))
        tensor(4., dtype=torch.float64)
    """
    check_finite_number("zero_floor", zero_floor, least=0)
    predictions, targets = as_wide_columns(predictions, targets)
    metric = GeometricMeanError(targets.shape[1], zero_floor).to(targets.device)
    metric.update(predictions, targets)
    return metric.compute()  # type: ignore[return-value]


class GeometricMeanError(PerDimension):
    """`geometric_mean_error` over all batches and processes, with float64 accumulators.

    Args:
        num_outputs: D, the number of target dimensions.
        zero_floor: See `geometric_mean_error`.
        names: See `PerDimension`.
        kwargs: Passed on to `torchmetrics.Metric`.

    Example:
        >>> metric = GeometricMeanError()
        >>> metric.update(torch.tensor([1.0]), torch.tensor([0.0]))
        >>> metric.update(torch.tensor([3.0]), torch.tensor([7.0]))
        >>> metric.compute()
        tensor(2., dtype=torch.float64)
    """

    higher_is_better = False
    key = "gmean"

    sum_log: Tensor

    def __init__(
        self, num_outputs: int = 1, zero_floor: float = ZERO_FLOOR, names: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(num_outputs, names, **kwargs)
        check_finite_number("zero_floor", zero_floor, least=0)
        self.zero_floor = zero_floor
        self.add_state("sum_log", torch.zeros(num_outputs, dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, predictions: Tensor, targets: Tensor, known: Tensor) -> None:
        errors = (predictions - targets).abs()
        logs = torch.where(errors == 0, self.zero_floor, errors).log()
        self.sum_log = self.sum_log + logs.where(known, 0).sum(dim=0)

    def _values(self) -> Tensor:
        return (self.sum_log / self.counts).exp()
