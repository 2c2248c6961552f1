"""The standard regression metrics, accumulated in float64 over the whole epoch.

Sums are float64, and those of R2 are taken around a label far from zero (in float32, or around zero, the variance is
lost for years, kelvins or unix seconds). Target dimensions are averaged with equal weights, labels that are NaN are
missing, and an epoch with a single sample, as in a smoke run, raises no error.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from rnc_lightning.metrics.angular_error import AngularError
from rnc_lightning.metrics.geometric_mean_error import GeometricMeanError
from rnc_lightning.metrics.per_dimension import PerDimension
from rnc_lightning.numerics.checks import check_whole_number


def regression_metrics(
    num_targets: int, angular_unit: str | None = None, names: Sequence[str] = ()
) -> MetricCollection:
    """Metrics for (B, D) predictions and targets, both in the data set's units.

    `mae`, `rmse` and `gmean` are in the targets' units, `r2` has no unit, `angular` is in degrees. Each is computed per
    target dimension and averaged over dimensions, except `angular`, which uses both. Targets that are NaN are missing
    labels: they are ignored in their dimension, and a sample without both angles in `angular`. A dimension without
    labels is NaN, and is excluded from the average.

    Args:
        num_targets: D.
        angular_unit: "radian" or "degree" if the targets are (pitch, yaw) in that unit; None omits `angular`.
        names: D names, to have every dimension beside the average if D > 1, for example as `mae/pitch`.

    Returns:
        A collection with the keys `mae`, `rmse`, `r2`, `gmean` and, with an `angular_unit`, `angular`; use
        `clone(prefix="val/")` for a copy for one stage.

    Raises:
        ValueError: If `num_targets` is below 1, or is not 2 for angles, `angular_unit` is unknown, or there are names,
            but not D different ones.

    Example:
        >>> metrics = regression_metrics(num_targets=1)
        >>> metrics.update(torch.tensor([[2.5], [0.0]]), torch.tensor([[3.0], [-0.5]]))
        >>> metrics.update(torch.tensor([[2.0], [8.0]]), torch.tensor([[2.0], [7.0]]))
        >>> {name: round(value.item(), 6) for name, value in metrics.compute().items() if name != "gmean"}
        {'mae': 0.5, 'r2': 0.948608, 'rmse': 0.612372}
        >>> metrics = regression_metrics(num_targets=2, names=["height", "weight"])
        >>> metrics.update(torch.tensor([[1.0, 4.0]]), torch.tensor([[2.0, float("nan")]]))
        >>> {name: value.item() for name, value in metrics.compute().items() if name.startswith("mae")}
        {'mae': 1.0, 'mae/height': 1.0, 'mae/weight': nan}
    """
    check_whole_number("num_targets", num_targets, least=1)
    if angular_unit is not None and num_targets != 2:
        raise ValueError(f"angular_unit needs num_targets=2 (pitch and yaw), got num_targets={num_targets}")
    each = names if num_targets > 1 else ()
    metrics: dict[str, Metric | MetricCollection] = {
        "mae": EpochMeanAbsoluteError(num_targets, each),
        "rmse": EpochRootMeanSquaredError(num_targets, each),
        "r2": EpochR2Score(num_targets, each),
        "gmean": GeometricMeanError(num_targets, names=each),
    }
    if angular_unit is not None:
        metrics["angular"] = AngularError(angular_unit)  # type: ignore[arg-type]
    # The metrics share no sums, so compute groups would save nothing.
    return MetricCollection(metrics, compute_groups=False)


class EpochMeanAbsoluteError(PerDimension):
    """Mean absolute error over samples and target dimensions; see `PerDimension` for the arguments.

    Example:
        >>> metric = EpochMeanAbsoluteError(num_outputs=2)
        >>> metric(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 2))
        tensor(2., dtype=torch.float64)
    """

    higher_is_better = False
    key = "mae"
    sum_errors: Tensor

    def __init__(self, num_outputs: int = 1, names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(num_outputs, names, **kwargs)
        self.add_state("sum_errors", torch.zeros(num_outputs, dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, predictions: Tensor, targets: Tensor, known: Tensor) -> None:
        self.sum_errors = self.sum_errors + (predictions - targets).abs().sum(dim=0)

    def _values(self) -> Tensor:
        return self.sum_errors / self.counts


class EpochRootMeanSquaredError(PerDimension):
    """Root mean squared error per target dimension, averaged over the dimensions; see `PerDimension`.

    Example:
        >>> metric = EpochRootMeanSquaredError(num_outputs=2)
        >>> metric(torch.tensor([[1.0, 3.0], [-1.0, 3.0]]), torch.zeros(2, 2))
        tensor(2., dtype=torch.float64)
    """

    higher_is_better = False
    key = "rmse"
    sum_squares: Tensor

    def __init__(self, num_outputs: int = 1, names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(num_outputs, names, **kwargs)
        self.add_state("sum_squares", torch.zeros(num_outputs, dtype=torch.float64), dist_reduce_fx="sum")

    def _add(self, predictions: Tensor, targets: Tensor, known: Tensor) -> None:
        self.sum_squares = self.sum_squares + (predictions - targets).square().sum(dim=0)

    def _values(self) -> Tensor:
        return (self.sum_squares / self.counts).sqrt()


class EpochR2Score(PerDimension):
    """Coefficient of determination per target dimension, averaged over the dimensions; see `PerDimension`.

    It is NaN for fewer than two samples. A target is constant if its variance is small relative to its size, so the
    result does not depend on the unit. A constant target gives 0, or 1 if every prediction is exact.

    Example:
        >>> metric = EpochR2Score()
        >>> metric(torch.tensor([[1.0]]), torch.tensor([[2.0]]))
        tensor(nan, dtype=torch.float64)
    """

    higher_is_better = True
    key = "r2"
    fewest = 2
    moments: Tensor  # (5, D): counts, shifts, sums and sums of squares of the targets minus the shift, squared errors

    def __init__(self, num_outputs: int = 1, names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(num_outputs, names, **kwargs)
        self.add_state("moments", torch.zeros(5, num_outputs, dtype=torch.float64), dist_reduce_fx=merge_moments)

    def _add(self, predictions: Tensor, targets: Tensor, known: Tensor) -> None:
        shift = self.moments[1].where(self.moments[0] > 0, _choose_shift(targets, known))
        shifted = (targets - shift).where(known, 0)
        rows = known.sum(dim=0), shift, shifted.sum(dim=0), shifted.square().sum(dim=0)
        squared = (targets - predictions).square().sum(dim=0)
        self.moments = merge_moments(torch.stack([self.moments, torch.stack([*rows, squared])]))

    def _values(self) -> Tensor:
        counts, _, total, squares, residual = self.moments.unbind()
        spread = squares - total**2 / counts
        rounding = 4 * torch.finfo(spread.dtype).eps * counts * squares
        constant = torch.where(residual == 0, 1.0, 0.0)
        return torch.where(spread <= rounding, constant, 1 - residual / spread)


def merge_moments(parts: Tensor) -> Tensor:
    """Moments (5, D) of all samples from those (P, 5, D) of parts of them; see `EpochR2Score.moments`."""
    counts, shifts, sums, squares, residuals = parts.unbind(dim=1)
    first = (counts > 0).to(torch.uint8).argmax(dim=0, keepdim=True)  # of the parts that have samples
    shift = shifts.gather(0, first)
    offset = shifts - shift
    squares = squares + 2 * offset * sums + counts * offset**2
    sums = sums + counts * offset
    return torch.stack([counts.sum(dim=0), shift[0], sums.sum(dim=0), squares.sum(dim=0), residuals.sum(dim=0)])


def _choose_shift(targets: Tensor, known: Tensor) -> Tensor:
    """A label of each dimension (D,) if labels are far from zero relative to their spread, else 0."""
    first = targets.gather(0, known.to(torch.uint8).argmax(dim=0, keepdim=True))[0]
    spread = ((targets - first).square().where(known, 0).sum(dim=0) / known.sum(dim=0)).sqrt()
    far = (first.abs() > 1e3 * spread) & ((spread > 0) | (first.abs() >= 1e5))
    return first.where(far, 0)
