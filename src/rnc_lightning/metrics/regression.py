"""The standard regression metrics, accumulated in float64 over the whole epoch.

The classes extend those of torchmetrics: sums are float64 (in float32 the variance in R2 is lost for targets far from
zero, such as years or kelvins), target dimensions are averaged with equal weights, and an epoch with a single sample,
as in a smoke run, raises no error.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, MetricCollection, R2Score

from rnc_lightning.metrics.angular_error import AngularError
from rnc_lightning.metrics.geometric_mean_error import GeometricMeanError
from rnc_lightning.metrics.wide_sums import WideSums
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.precision import in_widest_dtype


def regression_metrics(num_targets: int, angular_unit: str | None = None) -> MetricCollection:
    """Metrics for (B, D) predictions and targets, both in the data set's units.

    `mae`, `rmse` and `gmean` are in the targets' units, `r2` has no unit, `angular` is in degrees. Each is computed per
    target dimension and averaged over dimensions, except `angular`, which uses both.

    Args:
        num_targets: D.
        angular_unit: "radian" or "degree" if the targets are (pitch, yaw) in that unit; None omits `angular`.

    Returns:
        A collection with the keys `mae`, `rmse`, `r2`, `gmean` and, with an `angular_unit`, `angular`; use
        `clone(prefix="val/")` for a copy for one stage.

    Raises:
        ValueError: If `num_targets` is below 1, or is not 2 for angles, or `angular_unit` is unknown.

    Example:
        >>> metrics = regression_metrics(num_targets=1)
        >>> metrics.update(torch.tensor([[2.5], [0.0]]), torch.tensor([[3.0], [-0.5]]))
        >>> metrics.update(torch.tensor([[2.0], [8.0]]), torch.tensor([[2.0], [7.0]]))
        >>> {name: round(value.item(), 6) for name, value in metrics.compute().items() if name != "gmean"}
        {'mae': 0.5, 'r2': 0.948608, 'rmse': 0.612372}
    """
    check_whole_number("num_targets", num_targets, least=1)
    if angular_unit is not None and num_targets != 2:
        raise ValueError(f"angular_unit needs num_targets=2 (pitch and yaw), got num_targets={num_targets}")
    metrics: dict[str, Metric | MetricCollection] = {
        "mae": EpochMeanAbsoluteError(num_targets),
        "rmse": EpochRootMeanSquaredError(num_targets),
        "r2": EpochR2Score(num_targets),
        "gmean": GeometricMeanError(num_targets),
    }
    if angular_unit is not None:
        metrics["angular"] = AngularError(angular_unit)  # type: ignore[arg-type]
    # The metrics share no sums, so compute groups would save nothing.
    return MetricCollection(metrics, compute_groups=False)


class _EpochMetric(WideSums):
    """Adds batches in float64 and averages over target dimensions; comes before a torchmetrics class in the bases."""

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch of (B, D) predictions and targets."""
        super().update(in_widest_dtype(preds), in_widest_dtype(target))  # type: ignore[safe-super]

    def compute(self) -> Tensor:
        """The metric over all samples: a float64 scalar, NaN without samples."""
        return super().compute().mean()  # type: ignore[safe-super]


class EpochMeanAbsoluteError(_EpochMetric, MeanAbsoluteError):
    """Mean absolute error over samples and target dimensions, summed in float64.

    Args:
        num_outputs: D, the number of target dimensions.
        kwargs: Passed on to `torchmetrics.MeanAbsoluteError`.

    Example:
        >>> metric = EpochMeanAbsoluteError(num_outputs=2)
        >>> metric(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
        tensor(2., dtype=torch.float64)
    """

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(num_outputs=num_outputs, **kwargs)
        self.set_dtype(torch.float64)


class EpochRootMeanSquaredError(_EpochMetric, MeanSquaredError):
    """Root mean squared error per target dimension, averaged over the dimensions, summed in float64.

    Args:
        num_outputs: D, the number of target dimensions.
        kwargs: Passed on to `torchmetrics.MeanSquaredError`.

    Example:
        >>> metric = EpochRootMeanSquaredError(num_outputs=2)
        >>> metric(torch.tensor([[1.0, 3.0], [-1.0, 3.0]]), torch.zeros(2, 2))
        tensor(2., dtype=torch.float64)
    """

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(squared=False, num_outputs=num_outputs, **kwargs)
        self.set_dtype(torch.float64)


class EpochR2Score(_EpochMetric, R2Score):
    """Coefficient of determination per target dimension, averaged over the dimensions, summed in float64.

    Unlike `torchmetrics.R2Score` it is NaN for fewer than two samples instead of an error, and a target is constant if
    its variance is small relative to its size instead of below 1e-4, so the result does not depend on the unit. A
    constant target gives 0, or 1 if every prediction is exact.

    Args:
        num_outputs: D, the number of target dimensions.
        kwargs: Passed on to `torchmetrics.Metric`.

    Example:
        >>> metric = EpochR2Score()
        >>> metric(torch.tensor([[1.0]]), torch.tensor([[2.0]]))
        tensor(nan, dtype=torch.float64)
    """

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Full shape from the start: with the inherited scalars, processes hang if one of them has had no sample.
        for name in ("sum_squared_error", "sum_error", "residual"):
            self.add_state(name, torch.zeros(num_outputs), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def compute(self) -> Tensor:
        """The metric over all samples: a float64 scalar, NaN for fewer than two samples."""
        if self.total < 2:
            return torch.full_like(self.total, torch.nan)
        # torchmetrics calls the sum of the squared targets `sum_squared_error`.
        spread = self.sum_squared_error - self.sum_error**2 / self.total
        rounding = 4 * torch.finfo(spread.dtype).eps * self.total * self.sum_squared_error
        constant = torch.where(self.residual == 0, 1.0, 0.0)
        scores = torch.where(spread <= rounding, constant, 1 - self.residual / spread)
        return scores.mean()
