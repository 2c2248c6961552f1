"""Geometric mean of the absolute errors: the GM column of the imbalanced-regression literature."""

from typing import Any

import torch
from torch import Tensor

from rnc_lightning.metrics.wide_sums import WideSums
from rnc_lightning.numerics.precision import in_widest_dtype

ZERO_FLOOR = 1e-10


def geometric_mean_error(predictions: Tensor, targets: Tensor, zero_floor: float = ZERO_FLOOR) -> Tensor:
    """Geometric mean of the absolute errors, `exp(mean ln |prediction - target|)`.

    A single error of exactly zero makes a geometric mean zero, whatever the other errors are. That happens
    often where predictions and targets are whole numbers. So exact zeros, and only those, count as
    `zero_floor` here, which is the newer practice; `zero_floor=0` gives the plain definition.

    Args:
        predictions: (B,) or (B, D), in the targets' units.
        targets: same shape as `predictions`.
        zero_floor: what an error of exactly zero counts as, in the targets' units.

    Returns:
        A float64 scalar in the targets' units, NaN for no samples. For D > 1 the mean over the D dimensions.

    Raises:
        ValueError: if the shapes differ or have more than two dimensions, or `zero_floor` is negative.

    Example:
        >>> geometric_mean_error(torch.tensor([2.0, 8.0, 4.0]), torch.zeros(3))
        tensor(4., dtype=torch.float64)
    """
    _check_zero_floor(zero_floor)
    logs = _log_errors(predictions, targets, zero_floor)
    return logs.mean(dim=0).exp().mean()


class GeometricMeanError(WideSums):
    """`geometric_mean_error` over all batches and processes, with float64 accumulators.

    Args:
        num_outputs: D, the number of target dimensions.
        zero_floor: what an error of exactly zero counts as; see `geometric_mean_error`.
        kwargs: passed on to `torchmetrics.Metric`.

    Example:
        >>> metric = GeometricMeanError()
        >>> metric.update(torch.tensor([1.0]), torch.tensor([0.0]))
        >>> metric.update(torch.tensor([3.0]), torch.tensor([7.0]))
        >>> metric.compute()
        tensor(2., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    sum_log: Tensor
    total: Tensor

    def __init__(self, num_outputs: int = 1, zero_floor: float = ZERO_FLOOR, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_outputs < 1:
            raise ValueError(f"num_outputs must be at least 1, got {num_outputs}: give the target dimensions")
        _check_zero_floor(zero_floor)
        self.num_outputs = num_outputs
        self.zero_floor = zero_floor
        self.add_state("sum_log", torch.zeros(num_outputs, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            predictions: (B, D), or (B,) when D is 1.
            targets: same shape as `predictions`.

        Raises:
            ValueError: if the shapes differ or D is not `num_outputs`.
        """
        logs = _log_errors(predictions, targets, self.zero_floor)
        if logs.shape[1] != self.num_outputs:
            raise ValueError(
                f"predictions have {logs.shape[1]} columns, but this metric was made for {self.num_outputs}: "
                "set num_outputs to the number of target dimensions"
            )
        self.sum_log = self.sum_log + logs.sum(dim=0)
        self.total = self.total + logs.shape[0]

    def compute(self) -> Tensor:
        """The metric over everything seen: a float64 scalar, NaN if nothing was."""
        return (self.sum_log / self.total).exp().mean()


def _log_errors(predictions: Tensor, targets: Tensor, zero_floor: float) -> Tensor:
    """Logarithms of the absolute errors, (B, D) in float64."""
    if predictions.shape != targets.shape or predictions.ndim not in (1, 2):
        raise ValueError(
            "predictions and targets must both be (B,) or (B, D), "
            f"got {tuple(predictions.shape)} and {tuple(targets.shape)}: reshape one to fit the other"
        )
    errors = (in_widest_dtype(predictions) - in_widest_dtype(targets)).abs()
    errors = torch.where(errors == 0, zero_floor, errors)
    return errors.log().reshape(len(errors), -1) if errors.ndim == 1 else errors.log()


def _check_zero_floor(zero_floor: float) -> None:
    if not zero_floor >= 0:
        raise ValueError(f"zero_floor must not be negative, got {zero_floor}: 0 is the plain definition")
