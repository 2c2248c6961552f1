"""The standard set of regression metrics, accumulated in float64 over the whole epoch.

The classes are torchmetrics' own with three changes: sums are float64 (in float32 the variance in R2 drowns
for targets far from zero, such as years or kelvins), several target dimensions are averaged uniformly, and
nothing raises when an epoch, as in a smoke run, has a single sample.
"""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanAbsoluteError, MeanSquaredError, Metric, MetricCollection, R2Score

from rnc_lightning.metrics.angular_error import AngularError
from rnc_lightning.metrics.geometric_mean_error import GeometricMeanError
from rnc_lightning.metrics.wide_sums import WideSums
from rnc_lightning.numerics.precision import in_widest_dtype


def regression_metrics(num_targets: int, angular_unit: str | None = None) -> MetricCollection:
    """Metrics for (B, D) predictions and targets, both in the dataset's units.

    `mae`, `rmse` and `gmean` are in the targets' units, `r2` has none, `angular` is in degrees. Each is
    computed per target dimension and averaged over dimensions (`angular` is one number by nature).

    Args:
        num_targets: D.
        angular_unit: "radian" or "degree" where the targets are (pitch, yaw) in that unit; None leaves
            `angular` out.

    Returns:
        A collection with the keys `mae`, `rmse`, `r2`, `gmean` and, if asked for, `angular`; use
        `clone(prefix="val/")` for one stage's copy.

    Raises:
        ValueError: if `num_targets` is below 1, or is not 2 for angles, or `angular_unit` is unknown.

    Example:
        >>> metrics = regression_metrics(num_targets=1)
        >>> metrics.update(torch.tensor([[2.5], [0.0]]), torch.tensor([[3.0], [-0.5]]))
        >>> metrics.update(torch.tensor([[2.0], [8.0]]), torch.tensor([[2.0], [7.0]]))
        >>> {name: round(value.item(), 6) for name, value in metrics.compute().items() if name != "gmean"}
        {'mae': 0.5, 'r2': 0.948608, 'rmse': 0.612372}
    """
    if num_targets < 1:
        raise ValueError(f"num_targets must be at least 1, got {num_targets}: count the target columns")
    if angular_unit is not None and num_targets != 2:
        raise ValueError(f"angular_unit needs num_targets=2, pitch and yaw, got num_targets={num_targets}")
    metrics: dict[str, Metric | MetricCollection] = {
        "mae": EpochMeanAbsoluteError(num_targets),
        "rmse": EpochRootMeanSquaredError(num_targets),
        "r2": EpochR2Score(num_targets),
        "gmean": GeometricMeanError(num_targets),
    }
    if angular_unit is not None:
        metrics["angular"] = AngularError(angular_unit)
    # No two of these keep the same sums, so there is nothing for compute groups to share.
    return MetricCollection(metrics, compute_groups=False)


class EpochMeanAbsoluteError(WideSums, MeanAbsoluteError):
    """Mean absolute error over samples and target dimensions, summed in float64.

    Args:
        num_outputs: D, the number of target dimensions.
        kwargs: passed on to `torchmetrics.MeanAbsoluteError`.

    Example:
        >>> metric = EpochMeanAbsoluteError(num_outputs=2)
        >>> metric(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
        tensor(2., dtype=torch.float64)
    """

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(num_outputs=num_outputs, **kwargs)
        self.set_dtype(torch.float64)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch of (B, D) predictions and targets."""
        super().update(in_widest_dtype(preds), in_widest_dtype(target))

    def compute(self) -> Tensor:
        """The metric over everything seen: a float64 scalar, NaN if nothing was."""
        return super().compute().mean()


class EpochRootMeanSquaredError(WideSums, MeanSquaredError):
    """Root mean squared error per target dimension, averaged over the dimensions, summed in float64.

    Args:
        num_outputs: D, the number of target dimensions.
        kwargs: passed on to `torchmetrics.MeanSquaredError`.

    Example:
        >>> metric = EpochRootMeanSquaredError(num_outputs=2)
        >>> metric(torch.tensor([[1.0, 3.0], [-1.0, 3.0]]), torch.zeros(2, 2))
        tensor(2., dtype=torch.float64)
    """

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(squared=False, num_outputs=num_outputs, **kwargs)
        self.set_dtype(torch.float64)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch of (B, D) predictions and targets."""
        super().update(in_widest_dtype(preds), in_widest_dtype(target))

    def compute(self) -> Tensor:
        """The metric over everything seen: a float64 scalar, NaN if nothing was."""
        return super().compute().mean()


class EpochR2Score(WideSums, R2Score):
    """Coefficient of determination per target dimension, averaged over the dimensions, summed in float64.

    Unlike `torchmetrics.R2Score` it is NaN, not an error, for fewer than two samples, and a target counts as
    constant by its variance relative to its size, not below an absolute 1e-4, so the unit does not matter.
    A constant target gives 0, or 1 where every prediction is exact.

    Args:
        num_outputs: D, the number of target dimensions.
        kwargs: passed on to `torchmetrics.Metric`.

    Example:
        >>> metric = EpochR2Score()
        >>> metric(torch.tensor([[1.0]]), torch.tensor([[2.0]]))
        tensor(nan, dtype=torch.float64)
    """

    def __init__(self, num_outputs: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Of full shape from the start: with the inherited scalars, processes hang when one has seen no sample.
        for name in ("sum_squared_error", "sum_error", "residual"):
            self.add_state(name, torch.zeros(num_outputs), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, preds: Tensor, target: Tensor) -> None:
        """Add a batch of (B, D) predictions and targets."""
        super().update(in_widest_dtype(preds), in_widest_dtype(target))

    def compute(self) -> Tensor:
        """The metric over everything seen: a float64 scalar, NaN for fewer than two samples."""
        if self.total < 2:
            return torch.full_like(self.total, torch.nan)
        # torchmetrics calls the sum of the squared targets `sum_squared_error`.
        spread = self.sum_squared_error - self.sum_error**2 / self.total
        rounding = 4 * torch.finfo(spread.dtype).eps * self.total * self.sum_squared_error
        constant = torch.where(self.residual == 0, 1.0, 0.0)
        scores = torch.where(spread <= rounding, constant, 1 - self.residual / spread)
        return scores.mean()
