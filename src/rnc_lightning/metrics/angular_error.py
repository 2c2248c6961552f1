"""Angle between predicted and true gaze directions, in degrees."""

import math
from typing import Any, Literal

import torch
from torch import Tensor

from rnc_lightning.metrics.wide_sums import WideSums
from rnc_lightning.numerics.checks import check_choice
from rnc_lightning.numerics.precision import in_widest_dtype
from rnc_lightning.targets.distances import gaze_vectors
from rnc_lightning.targets.missing import has_all_labels

AngleUnit = Literal["radian", "degree"]


def angular_error(
    predictions: Tensor,
    targets: Tensor,
    unit: AngleUnit = "radian",
    reduction: Literal["mean", "none"] = "mean",
) -> Tensor:
    """Angle between the gaze directions of two (pitch, yaw) pairs.

    With the unit vectors u and v of the two directions the angle is `atan2(|u x v|, u . v)`, which is also accurate for
    small angles. (The common arc cosine of a clipped argument never falls below 0.026 degrees.)

    Args:
        predictions: (B, 2), pitch and yaw.
        targets: (B, 2), pitch and yaw; NaN for a missing label.
        unit: Unit of pitch and yaw, "radian" or "degree". The result is in degrees either way.
        reduction: "mean" over the samples that have both labels, or "none" for one angle per sample.

    Returns:
        Degrees in float64: a scalar, or (B,) for `reduction="none"`. The mean over no samples is NaN.

    Raises:
        ValueError: If a shape is not (B, 2), the shapes differ, or `unit` or `reduction` is unknown.

    Example:
        >>> zero, yaw = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, 10.0]])
        >>> angular_error(yaw, zero, unit="degree")
        tensor(10., dtype=torch.float64)
    """
    check_choice("unit", unit, ("radian", "degree"))
    check_choice("reduction", reduction, ("mean", "none"))
    if predictions.shape != targets.shape or predictions.ndim != 2 or predictions.shape[1] != 2:
        raise ValueError(
            "predictions and targets must both be (B, 2), pitch and yaw, "
            f"got {tuple(predictions.shape)} and {tuple(targets.shape)}"
        )
    scale = 1.0 if unit == "radian" else math.pi / 180
    u, v = (gaze_vectors(in_widest_dtype(angles) * scale) for angles in (predictions, targets))
    degrees = torch.rad2deg(torch.atan2(torch.linalg.cross(u, v).norm(dim=1), (u * v).sum(dim=1)))
    return degrees[has_all_labels(targets)].mean() if reduction == "mean" else degrees


class AngularError(WideSums):
    """`angular_error` averaged over all batches and processes, with a float64 accumulator.

    Args:
        unit: Unit of pitch and yaw, "radian" or "degree". The result is in degrees either way.
        kwargs: Passed on to `torchmetrics.Metric`.

    Example:
        >>> metric = AngularError(unit="degree")
        >>> metric.update(torch.tensor([[0.0, 10.0], [0.0, 20.0]]), torch.zeros(2, 2))
        >>> metric.update(torch.tensor([[30.0, 0.0]]), torch.zeros(1, 2))
        >>> metric.compute()
        tensor(20., dtype=torch.float64)
    """

    is_differentiable = False
    higher_is_better = False
    full_state_update = False

    sum_degrees: Tensor
    total: Tensor

    def __init__(self, unit: AngleUnit = "radian", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("unit", unit, ("radian", "degree"))
        self.unit: AngleUnit = unit
        self.add_state("sum_degrees", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Add a batch of (B, 2) predictions and targets, pitch and yaw; samples without both labels are ignored."""
        degrees = angular_error(predictions, targets, self.unit, reduction="none")[has_all_labels(targets)]
        self.sum_degrees = self.sum_degrees + degrees.sum()
        self.total = self.total + len(degrees)

    def compute(self) -> Tensor:
        """Mean angle in degrees over all samples: a float64 scalar, NaN without samples."""
        return self.sum_degrees / self.total
