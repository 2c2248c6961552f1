"""The regression target: names, units, ranges, bins and label distance of its dimensions."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

MOST_BINS = 10_000  # more than any head is meant for, so the step or the range must be wrong


@dataclass(frozen=True)
class Grid:
    """Evenly spaced bin centres low, low + step, ... of one target dimension.

    Attributes:
        low: The first centre, in label units.
        step: Distance between two centres.
        count: Number K of centres, at least 2.

    >>> grid = Grid(low=-1.0, step=0.5, count=5)
    >>> grid.centres().tolist()
    [-1.0, -0.5, 0.0, 0.5, 1.0]
    >>> grid.bins(torch.tensor([-0.8, -0.75, 0.2, 9.0])).tolist()
    [0, 1, 2, 4]
    """

    low: float
    step: float
    count: int

    @property
    def high(self) -> float:
        """The last centre."""
        return self.low + (self.count - 1) * self.step

    def centres(self, like: Tensor | None = None) -> Tensor:
        """All centres (K,), in the dtype and on the device of `like`."""
        dtype, device = (torch.float32, None) if like is None else (like.dtype, like.device)
        return self.value(torch.arange(self.count, dtype=dtype, device=device))

    def value(self, rank: Tensor) -> Tensor:
        """Label at a rank; the rank may be fractional."""
        return self.low + self.step * rank

    def bins(self, labels: Tensor) -> Tensor:
        """Index of the nearest centre, int64; halfway rounds up, labels outside the grid count as its ends."""
        ranks = torch.floor((labels.double() - self.low) / self.step + 0.5)  # round() would round half to even
        return ranks.clamp(0, self.count - 1).long()

    def clamp(self, labels: Tensor) -> Tensor:
        """Move labels outside the grid to its ends."""
        return labels.clamp(self.low, self.high)


@dataclass(frozen=True)
class TargetDimension:
    """One dimension of the target, in the data set's unit.

    Attributes:
        unit: Unit of measurement, as written on axes and in tables.
        low: Lowest possible label, or None when open.
        high: Highest possible label, or None when open.
        step: Width of a bin, for methods that discretise. If the range is not a multiple of it, the last centre is
            the first one above `high`. None: `fitted` chooses 1, 2 or 5 times a power of ten, for 40 to 100 bins.
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number or null, got {value}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low} and high={self.high}")
        if self.step is not None and not (self.step > 0 and math.isfinite(self.step)):
            raise ValueError(f"step must be a positive number, got {self.step}")

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

    def fitted(self, labels: Tensor) -> "TargetDimension":
        """Close open ends by the smallest and the largest label (N,), widened to multiples of `step`."""
        low, high, step = self.low, self.high, self.step
        first = float(labels.min()) if low is None else low
        last = float(labels.max()) if high is None else high
        if step is None:
            step = _round_step(last - first)
        if low is None:
            low = math.floor(first / step) * step
            low = low if high is None else min(low, high - step)
        if high is None:
            high = max(math.ceil(last / step) * step, low + step)
        return replace(self, low=low, high=high, step=step)


@dataclass(frozen=True)
class TargetSpec:
    """The target vector y (B, D).

    Args:
        dimensions: Maps names to a TargetDimension or its arguments, in the order of y's columns.
        distance: Label distance: a name known to `rnc_lightning.targets.distances` or a callable.

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

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ValueError("dimensions: a target needs at least one, such as {age: {unit: years}}")
        dimensions: dict[str, TargetDimension] = {}
        for name, value in self.dimensions.items():
            with _prefix_errors(f"dimensions.{name}"):
                dimensions[name] = value if isinstance(value, TargetDimension) else TargetDimension(**value)
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
        """Close every open range by the training labels (N, D)."""
        self.check(labels)
        dimensions = {}
        for (name, dimension), column in zip(self.dimensions.items(), labels.unbind(dim=1), strict=True):
            with _prefix_errors(f"dimensions.{name}"):
                dimensions[name] = dimension.fitted(column)
        return replace(self, dimensions=dimensions)

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


def _round_step(span: float) -> float:
    """Smallest of 1, 2, 5 times a power of ten that gives at most 100 bins over a range; 1 for an empty range."""
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 100))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power * 100 >= span * (1 - 1e-9))


@contextmanager
def _prefix_errors(what: str) -> Iterator[None]:
    """Start the message of an error with a name; the same as in `system.errors`, which this room may not import."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
