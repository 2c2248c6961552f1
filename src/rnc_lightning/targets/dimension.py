"""One dimension of the target: its unit, range and bins, and how its labels are scaled for the model."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from rnc_lightning.targets.grid import Grid
from rnc_lightning.targets.resolution import label_resolution

MOST_BINS = 10_000  # more than any head is meant for, so the step or the range must be wrong
_EXACT = 1e-4  # largest rounding error of a label in float32, in standard deviations of the labels


@dataclass(frozen=True)
class TargetDimension:
    """One dimension of the target, in the data set's unit.

    A model sees (t(label) - centre) / scale, where t is the logarithm or nothing; predictions are converted back. With
    the defaults it sees the labels themselves, as in the paper.

    Attributes:
        unit: Unit of measurement, as written on axes and in tables.
        low: Lowest possible label, or None when open.
        high: Highest possible label, or None when open.
        step: Width of a bin, for methods that discretise. If the range is not a multiple of it, the last centre is
            the first one above `high`. None: `fitted` chooses 1, 2 or 5 times a power of ten, for 40 to 100 bins.
            With `transform`, as many bins, equally wide on the transformed scale.
        weight: How much the dimension counts in label distances and in errors of heads without bins, compared with the
            others.
        transform: `log` for labels above 0 whose ratios matter more than their differences.
        centre: What is subtracted; None: 0, or the mean training label if labels are standardised.
        scale: What they are then divided by; None: 1, or the standard deviation of the training labels if labels are
            standardised. `fitted` divides a value that it sets by the weight.
        resolution: The labels are multiples of it up to an offset, as for labels in tenths; None if they are not.
            `fitted` finds it. Label distances that differ by a rounding error then tie.

    >>> TargetDimension(step=None).fitted(torch.tensor([0.0, 50.0, 100.0]), standardize=True).centre
    50.0
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = 1.0
    weight: float = 1.0
    transform: Literal["log"] | None = None
    centre: float | None = None
    scale: float | None = None
    resolution: float | None = None

    def __post_init__(self) -> None:
        for name in ("low", "high", "centre"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number or null, got {value}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low} and high={self.high}")
        for name in ("step", "weight", "scale", "resolution"):
            value = getattr(self, name)
            if value is not None and not (value > 0 and math.isfinite(value)):
                raise ValueError(f"{name} must be a positive number, got {value}")
        if self.transform not in ("log", None):
            raise ValueError(f"transform must be log or null, got {self.transform}")
        if self.transform == "log" and self.low is not None and self.low <= 0:
            raise ValueError(f"low must be above 0 for transform=log, got {self.low}")

    @property
    def grid(self) -> Grid:
        """The bin centres.

        Raises:
            ValueError: If an end of the range is open, or there are too many bins.
        """
        if self.low is None or self.high is None:
            raise ValueError("low and high are needed for bins: set them, or take them from labels with fitted()")
        if self.step is None:
            raise ValueError("step is needed for bins: set it, or take it from labels with fitted()")
        count = math.ceil((self.high - self.low) / self.step - 1e-6) + 1
        if count > MOST_BINS:
            raise ValueError(f"step {self.step} makes {count} bins from {self.low} to {self.high}: make it larger")
        return Grid(self.low, self.step, count)

    @property
    def is_scaled(self) -> bool:
        """Whether a model sees other numbers than the labels."""
        return (self.transform, self.centre or 0.0, self.scale or 1.0) != (None, 0.0, 1.0)

    def fitted(self, labels: Tensor, standardize: bool = False) -> "TargetDimension":
        """Take what is open from the training labels (N,), of which some may be missing (NaN).

        Open ends of the range become the smallest and the largest label, widened to multiples of `step`.

        Args:
            labels: The labels.
            standardize: Whether an open centre and scale are the labels' mean and standard deviation.

        Raises:
            ValueError: If all labels are missing, `standardize` is set and all are the same, or the logarithm is not
                defined.
        """
        present = labels[~labels.isnan()]
        if not len(present):
            raise ValueError("no training sample has a label")
        first, last = float(present.min()), float(present.max())
        if self.transform == "log" and first <= 0:
            raise ValueError(f"transform=log needs labels above 0, and the smallest training label is {first:g}")
        centre, scale = self._fitted_scale(present.double(), standardize)
        closed = self._closed(first, last)
        resolution = self.resolution or label_resolution(present)
        return replace(closed, centre=centre, scale=scale, resolution=resolution)

    def _closed(self, first: float, last: float) -> "TargetDimension":
        low, high, step = self.low, self.high, self.step
        first, last = first if low is None else low, last if high is None else high
        if step is None:
            step = _round_step(last - first)
        if self.transform is not None:  # rounding down could reach 0
            return replace(self, low=first, high=last if last > first else first + step, step=step)
        if low is None:
            low = math.floor(first / step) * step
            low = low if high is None else min(low, high - step)
        if high is None:
            high = max(math.ceil(last / step) * step, low + step)
        return replace(self, low=low, high=high, step=step)

    def _fitted_scale(self, present: Tensor, standardize: bool) -> tuple[float, float]:
        centre, scale = self.centre, self.scale
        if not standardize:
            return centre or 0.0, scale or 1.0 / self.weight
        values = present.log() if self.transform == "log" else present
        if centre is None:
            centre = float(values.mean())
        if scale is None:
            deviation = float((values - values.mean()).square().mean().sqrt())
            if not deviation > 4 * torch.finfo(torch.float64).eps * float(values.abs().max()):
                raise ValueError(f"all {len(present)} training labels are {float(present[0]):.12g}: nothing to learn")
            scale = deviation / self.weight
        return centre, scale

    def to_model(self, labels: Tensor) -> Tensor:
        """Labels (N,) as a model sees them, float64."""
        values = labels.double()
        if self.transform == "log":
            values = values.log()
        return (values - (self.centre or 0.0)) / (self.scale or 1.0)

    def to_labels(self, values: Tensor) -> Tensor:
        """What a model sees or predicts (N,) as labels, float64."""
        labels = values.double() * (self.scale or 1.0) + (self.centre or 0.0)
        return labels.exp() if self.transform == "log" else labels

    def in_model_units(self) -> "TargetDimension":
        """The same range and bins for the numbers that a model sees."""
        if not self.is_scaled:
            return self
        scale = self.scale or 1.0
        if self.low is None or self.high is None or self.step is None:
            return TargetDimension(step=self.step and self.step / scale)
        low, high = self.to_model(torch.tensor([self.low, self.high], dtype=torch.float64)).tolist()
        count = self.grid.count
        step = self.step / scale if self.transform is None else (high - low) / (count - 1)
        fine = self.resolution / scale if self.resolution is not None and self.transform is None else None
        return TargetDimension(low=low, high=low + (count - 1) * step, step=step, resolution=fine)

    def check_float32(self, labels: Tensor) -> None:
        """Check that the numbers a model sees keep their digits in float32, in which losses are computed.

        Args:
            labels: Training labels (N,).

        Raises:
            ValueError: If they are not, as for dates such as 20240113 without standardisation.
        """
        values = self.to_model(labels[~labels.isnan()])
        error = (values - values.float().double()).abs().max()
        whole = bool((values == values.round()).all()) and bool(error > 0)
        if whole or error > _EXACT * (values - values.mean()).square().mean().sqrt():
            low, high = float(labels.nan_to_num(nan=torch.inf).min()), float(labels.nan_to_num(nan=-torch.inf).max())
            raise ValueError(
                f"labels from {low:.12g} to {high:.12g} lose digits that matter in float32: set "
                "target.standardize=true, or subtract a constant from the labels"
            )


def _round_step(span: float) -> float:
    """Smallest of 1, 2, 5 times a power of ten that gives at most 100 bins over a range; 1 for an empty range."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 100))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * 100 >= span * (1 - 1e-9))
