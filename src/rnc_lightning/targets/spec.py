"""The regression target: its dimensions, their ranges and bins, and the label distance."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor

from rnc_lightning.targets.dimension import TargetDimension
from rnc_lightning.targets.grid import Grid

_ROUNDING = 1e-9  # of distances between standardised labels, which are about 1


@dataclass(frozen=True)
class TargetSpec:
    """The target vector y (B, D).

    Args:
        dimensions: Maps names to a TargetDimension or its arguments, in the order of y's columns.
        distance: Label distance: a name known to `rnc_lightning.targets.distances` or a callable.
        standardize: Whether `fitted` takes centre and scale of each dimension from the labels.
        transform: For all dimensions without one of their own; see `TargetDimension`.
        rounding: Difference that label distances can have by rounding alone; `in_model_units` sets it.
        partial: Whether some labels are missing (NaN); `fitted` sets it.

    Raises:
        ValueError: If there is no dimension, or a dimension's arguments are not valid.

    >>> spec = TargetSpec({"age": {"unit": "years", "low": 0, "high": 101}})
    >>> spec.names, spec.units
    (['age'], ['years'])
    >>> TargetSpec({"temperature": {"step": 2.0}}).fitted(torch.tensor([[-7.3], [21.0]])).grids
    [Grid(low=-8.0, step=2.0, count=16)]
    """

    dimensions: Mapping[str, TargetDimension] = field(default_factory=dict)
    distance: str | Callable[[Tensor, Tensor], Tensor] = "l1"
    standardize: bool = False
    transform: Literal["log"] | None = None
    rounding: float = 0.0
    partial: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.standardize, bool):
            raise ValueError(f"standardize must be true or false, got {self.standardize}")
        if not self.dimensions:
            raise ValueError("dimensions: a target needs at least one, such as {age: {unit: years}}")
        dimensions: dict[str, TargetDimension] = {}
        for name, value in self.dimensions.items():
            with _prefix_errors(f"dimensions.{name}"):
                dimension = value if isinstance(value, TargetDimension) else TargetDimension(**value)
                dimensions[name] = replace(dimension, transform=dimension.transform or self.transform)
        object.__setattr__(self, "dimensions", dimensions)

    @property
    def names(self) -> list[str]:
        """Names of the dimensions, in column order."""
        return list(self.dimensions)

    @property
    def units(self) -> list[str]:
        """Units of the dimensions, in column order."""
        return [dimension.unit for dimension in self.dimensions.values()]

    @property
    def angular_unit(self) -> str | None:
        """`radian` or `degree` if the distance is an angle between gaze directions, else None."""
        return {"angular": "radian", "angular_degrees": "degree"}.get(str(self.distance))

    @property
    def grids(self) -> list[Grid]:
        """The bin centres of each dimension.

        Raises:
            ValueError: If a dimension's range is open, or it has too many bins.
        """
        grids = []
        for name, dimension in self.dimensions.items():
            with _prefix_errors(f"dimensions.{name}"):
                grids.append(dimension.grid)
        return grids

    def fitted(self, labels: Tensor) -> "TargetSpec":
        """Take what is open from the training labels (N, D); see `TargetDimension.fitted`."""
        self.check(labels)
        dimensions = {}
        for (name, dimension), column in zip(self.dimensions.items(), labels.unbind(dim=1), strict=True):
            with _prefix_errors(f"dimensions.{name}"):
                dimensions[name] = dimension.fitted(column, self.standardize)
        return replace(self, dimensions=dimensions, partial=self.partial or bool(labels.isnan().any()))

    @property
    def is_scaled(self) -> bool:
        """Whether a model sees other numbers than the labels."""
        return any(dimension.is_scaled for dimension in self.dimensions.values())

    def to_model(self, labels: Tensor) -> Tensor:
        """Labels (N, D) as a model sees them, float64; the labels themselves if nothing is scaled."""
        if not self.is_scaled:
            return labels
        pairs = zip(self.dimensions.values(), labels.unbind(dim=1), strict=True)
        return torch.stack([dimension.to_model(column) for dimension, column in pairs], dim=1)

    def to_labels(self, values: Tensor) -> Tensor:
        """What a model predicts (N, D) in label units, float64; unchanged if nothing is scaled."""
        if not self.is_scaled:
            return values
        pairs = zip(self.dimensions.values(), values.unbind(dim=1), strict=True)
        return torch.stack([dimension.to_labels(column) for dimension, column in pairs], dim=1)

    def in_model_units(self) -> "TargetSpec":
        """The target that heads are built for: ranges and bins of the numbers that a model sees."""
        if not self.is_scaled:
            return self
        dimensions = {name: dimension.in_model_units() for name, dimension in self.dimensions.items()}
        return TargetSpec(dimensions, self.distance, rounding=_ROUNDING)

    def for_distances(self) -> "TargetSpec":
        """The target that label distances are computed for: in model units, except for angles between directions."""
        return self if self.angular_unit else self.in_model_units()

    def distance_labels(self, labels: Tensor) -> Tensor:
        """Labels (N, D) for label distances, in the units of `for_distances`."""
        return labels if self.angular_unit else self.to_model(labels)

    def ranking_labels(self, labels: Tensor) -> Tensor:
        """Labels (N, D) whose distances are only ranked: in label units where that ranks them in the same way.

        Equal differences of whole numbers then stay equal; standardised, they would differ by rounding errors.
        """
        linear = all(dimension.transform is None for dimension in self.dimensions.values())
        return labels if len(self) == 1 and linear else self.distance_labels(labels)

    @property
    def tie_tolerance(self) -> float:
        """Label distances that differ by no more are equal up to rounding; in the units of the target.

        For one dimension with labels that are multiples of a number, it is a thousandth of that.
        """
        fine = [dimension.resolution for dimension in self.dimensions.values()]
        return max(self.rounding, fine[0] / 1000 if len(fine) == 1 and fine[0] is not None else 0.0)

    def check_float32(self, labels: Tensor) -> None:
        """Check that labels (N, D) survive float32; see `TargetDimension.check_float32`.

        Raises:
            ValueError: If they do not.
        """
        for (name, dimension), column in zip(self.dimensions.items(), labels.unbind(dim=1), strict=True):
            with _prefix_errors(f"dimensions.{name}"):
                dimension.check_float32(column)

    def bins(self, labels: Tensor) -> Tensor:
        """Indices (B, D) of the centres nearest to labels (B, D); see `Grid.bins`."""
        self.check(labels)
        pairs = zip(self.grids, labels.unbind(dim=1), strict=True)
        return torch.stack([grid.bins(column) for grid, column in pairs], dim=1)

    def classes(self, labels: Tensor) -> Tensor:
        """Class (B,) int64 of labels (B, D), one for each combination of bins.

        >>> TargetSpec({"a": {"low": 0, "high": 1}, "b": {"low": 0, "high": 2}}).classes(torch.tensor([[1.0, 2.0]]))
        tensor([5])
        """
        code = torch.zeros(len(labels), dtype=torch.int64, device=labels.device)
        for grid, column in zip(self.grids, self.bins(labels).unbind(dim=1), strict=True):
            code = code * grid.count + column
        return code

    def count_outside(self, labels: Tensor) -> dict[str, int]:
        """Number of labels (B, D) outside the configured range, for each dimension that has any."""
        self.check(labels)
        counts = {}
        for (name, dimension), column in zip(self.dimensions.items(), labels.unbind(dim=1), strict=True):
            low = -math.inf if dimension.low is None else dimension.low
            high = math.inf if dimension.high is None else dimension.high
            counts[name] = int(((column < low) | (column > high)).sum())
        return {name: count for name, count in counts.items() if count}

    def check(self, labels: Tensor) -> None:
        """Check that labels are (B, D).

        Raises:
            ValueError: If they are not.
        """
        if labels.ndim != 2 or labels.shape[1] != len(self):
            raise ValueError(f"labels must be (B, {len(self)}) for {', '.join(self.names)}, got {tuple(labels.shape)}")

    def check_single(self, method: str) -> None:
        """Check that the target has one dimension, for a method that is defined for no more.

        Raises:
            ValueError: If it has several.
        """
        if len(self) > 1:
            raise ValueError(f"{method} is defined for one target dimension, this target has {', '.join(self.names)}")

    def __len__(self) -> int:
        return len(self.dimensions)


@contextmanager
def _prefix_errors(what: str) -> Iterator[None]:
    """Start the message of an error with a name; the same as in `system.errors`, which this room may not import."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
