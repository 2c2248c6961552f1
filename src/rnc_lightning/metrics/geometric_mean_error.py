"""Geometric mean of the absolute errors: the GM column in papers on imbalanced regression."""

from typing import Any

import torch
from torch import Tensor

from rnc_lightning.metrics.wide_sums import WideSums
from rnc_lightning.numerics.checks import check_finite_number, check_whole_number
from rnc_lightning.numerics.precision import in_widest_dtype

ZERO_FLOOR = 1e-10


def geometric_mean_error(predictions: Tensor, targets: Tensor, zero_floor: float = ZERO_FLOOR) -> Tensor:
    """Geometric mean of the absolute errors, `exp(mean ln |prediction - target|)`.

    A single error of exactly zero makes the geometric mean zero. That happens often if predictions and targets are
    whole numbers. So errors of exactly zero, and only those, are replaced by `zero_floor`, as in newer papers;
    `zero_floor=0` is the plain definition.

    Args:
        predictions: (B,) or (B, D), in the targets' units.
        targets: Same shape as `predictions`.
        zero_floor: Replacement for an error of exactly zero, in the targets' units.

    Returns:
        A float64 scalar in the targets' units, NaN for no samples. For D > 1 the mean over the D dimensions.

    Raises:
        ValueError: If the shapes differ or have more than two dimensions, or `zero_floor` is negative.

    Example:
        >>> geometric_mean_error(torch.tensor([2.0, 8.0, 4.0]), torch.zeros(3))
        tensor(4., dtype=torch.float64)
    """
    check_finite_number("zero_floor", zero_floor, least=0)
    logs = _log_errors(predictions, targets, zero_floor)
    return logs.mean(dim=0).exp().mean()


class GeometricMeanError(WideSums):
    """`geometric_mean_error` over all batches and processes, with float64 accumulators.

    Args:
        num_outputs: D, the number of target dimensions.
        zero_floor: See `geometric_mean_error`.
        kwargs: Passed on to `torchmetrics.Metric`.

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
        check_whole_number("num_outputs", num_outputs, least=1)
        check_finite_number("zero_floor", zero_floor, least=0)
        self.num_outputs = num_outputs
        self.zero_floor = zero_floor
        self.add_state("sum_log", torch.zeros(num_outputs, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            predictions: (B, D), or (B,) if D is 1.
            targets: Same shape as `predictions`.

        Raises:
            ValueError: If the shapes differ or D is not `num_outputs`.
        """
        logs = _log_errors(predictions, targets, self.zero_floor)
        if logs.shape[1] != self.num_outputs:
            raise ValueError(
                f"predictions have {logs.shape[1]} columns but num_outputs is {self.num_outputs}: "
                "set it to the number of target dimensions"
            )
        self.sum_log = self.sum_log + logs.sum(dim=0)
        self.total = self.total + logs.shape[0]

    def compute(self) -> Tensor:
        """The metric over all samples: a float64 scalar, NaN without samples."""
        return (self.sum_log / self.total).exp().mean()


def _log_errors(predictions: Tensor, targets: Tensor, zero_floor: float) -> Tensor:
    """Logarithms of the absolute errors, (B, D) in float64."""
    if predictions.shape != targets.shape or predictions.ndim not in (1, 2):
        raise ValueError(
            "predictions and targets must both be (B,) or (B, D), "
            f"got {tuple(predictions.shape)} and {tuple(targets.shape)}: reshape one of them"
        )
    errors = (in_widest_dtype(predictions) - in_widest_dtype(targets)).abs()
    errors = torch.where(errors == 0, zero_floor, errors)
    return errors.log().reshape(len(errors), -1) if errors.ndim == 1 else errors.log()
