"""Ranges of the target: which labels lie inside."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rnc_lightning.targets.spec import TargetSpec


@dataclass(frozen=True)
class TargetRange:
    """A closed range of one target dimension.

    >>> TargetRange(low=10).holds(torch.tensor([[9.0], [10.0], [30.0]])).tolist()
    [False, True, True]

    Attributes:
        low: Its lower end, in label units; None: no end.
        high: Its upper end.
        dimension: Which of the target's dimensions, from 0 up.
    """

    low: float | None = None
    high: float | None = None
    dimension: int = 0

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        if not ends or not all(_number(end) for end in ends) or ends != sorted(ends):
            raise ValueError(f"a range needs low <= high, or one of them, got low={self.low}, high={self.high}")
        if isinstance(self.dimension, bool) or not isinstance(self.dimension, int) or self.dimension < 0:
            raise ValueError(f"dimension must be a whole number from 0 up, got {self.dimension}")

    def holds(self, targets: Tensor) -> Tensor:
        """Which of the targets (N, D) lie in it, (N,) bool."""
        if self.dimension >= targets.shape[1]:
            raise ValueError(f"there is no dimension {self.dimension}: the target has {targets.shape[1]}")
        values = targets[:, self.dimension].double()
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return (values >= low) & (values <= high)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


Ranges = dict[str, tuple[float, float]]


def inside(labels: Tensor, ranges: Ranges, target: TargetSpec) -> Tensor:
    """Which labels (N, D) lie within all ranges (N,), their ends included.

    >>> spec = TargetSpec({"age": {}})
    >>> inside(torch.tensor([[10.0], [20.0], [40.5]]), {"age": (20.0, 40.0)}, spec).tolist()
    [False, True, False]
    """
    within = torch.ones(len(labels), dtype=torch.bool)
    for name, (low, high) in ranges.items():
        column = labels[:, target.names.index(name)]
        within &= (column >= low) & (column <= high)
    return within
