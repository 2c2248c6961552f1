"""What is regressed: the names, units, ranges and distance of the target's dimensions."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class TargetDimension:
    """One dimension of the target, in the data set's own unit.

    Attributes:
        unit: Unit of measurement, as written on axes and in tables.
        low: Lowest label that makes sense, or None when open.
        high: Highest label that makes sense, or None when open.
        step: Width of a bin, for methods that discretise.
    """

    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float = 1.0

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise ValueError(f"{name} must be a finite number or null, got {value}")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError(f"low must be below high, got low={self.low} and high={self.high}")
        if not self.step > 0:
            raise ValueError(f"step must be positive, got {self.step}")


@dataclass(frozen=True)
class TargetSpec:
    """The target vector y (B, D).

    Args:
        dimensions: Name to TargetDimension, or to a mapping of its arguments; in the order of y's columns.
        distance: Label distance, a name known to `rnc_lightning.distances` or a callable.

    Raises:
        ValueError: Without a dimension, or where a dimension's arguments do not fit.

    >>> spec = TargetSpec({"age": {"unit": "years", "low": 0, "high": 101}})
    >>> spec.names, spec.units
    (['age'], ['years'])
    """

    dimensions: Mapping[str, TargetDimension] = field(default_factory=dict)
    distance: str | Callable[[Tensor, Tensor], Tensor] = "l1"

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise ValueError("dimensions: a target needs at least one, such as {age: {unit: years}}")
        made = {name: _dimension(name, given) for name, given in self.dimensions.items()}
        object.__setattr__(self, "dimensions", made)

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
        """`radian` or `degree` where the distance is an angle between gaze directions, else None."""
        return {"angular": "radian", "angular_degrees": "degree"}.get(str(self.distance))

    def __len__(self) -> int:
        return len(self.dimensions)


def _dimension(name: str, given: TargetDimension | Mapping[str, object]) -> TargetDimension:
    if isinstance(given, TargetDimension):
        return given
    try:
        return TargetDimension(**given)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"dimensions.{name}: {error}") from None
