"""Closed ranges of a target dimension."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class TargetRange:
    """A closed range of one target dimension.

    >>> TargetRange(low=10).contains(torch.tensor([[9.0], [10.0], [30.0]])).tolist()
    [False, True, True]

    Attributes:
        low: Lower end, in label units; None when the range is open below.
        high: Upper end; None when the range is open above.
        dimension: Index of the target dimension, from 0 up.

    Raises:
        ValueError: If no end is a finite number, `low` is above `high`, or `dimension` is not a whole number from 0 up.
    """

    low: float | None = None
    high: float | None = None
    dimension: int = 0

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        numbers = all(isinstance(end, int | float) and not isinstance(end, bool) and math.isfinite(end) for end in ends)
        if not ends or not numbers or ends != sorted(ends):
            raise ValueError(f"a range needs low <= high, or only one of them, got low={self.low}, high={self.high}")
        if isinstance(self.dimension, bool) or not isinstance(self.dimension, int) or self.dimension < 0:
            raise ValueError(f"dimension must be a whole number from 0 up, got {self.dimension}")

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends; an open end is infinite."""
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    def contains(self, targets: Tensor) -> Tensor:
        """Which targets (N, D) are in the range, (N,) bool; the ends are compared in the targets' precision."""
        if self.dimension >= targets.shape[1]:
            raise ValueError(f"there is no dimension {self.dimension}: the target has {targets.shape[1]}")
        values, (low, high) = targets[:, self.dimension], self.ends
        return (values >= low) & (values <= high)


def in_all_ranges(targets: Tensor, ranges: Iterable[TargetRange]) -> Tensor:
    """Which targets (N, D) are in all of the ranges, (N,) bool.

    >>> ranges = [TargetRange(low=5), TargetRange(high=0, dimension=1)]
    >>> in_all_ranges(torch.tensor([[10.0, 1.0], [20.0, 0.0]]), ranges).tolist()
    [False, True]
    """
    everywhere = torch.ones(len(targets), dtype=torch.bool)
    return torch.stack([everywhere, *(one.contains(targets) for one in ranges)]).all(dim=0)


def in_any_range(targets: Tensor, ranges: Iterable[TargetRange]) -> Tensor:
    """Which targets (N, D) are in at least one of the ranges, (N,) bool."""
    nowhere = torch.zeros(len(targets), dtype=torch.bool)
    return torch.stack([nowhere, *(one.contains(targets) for one in ranges)]).any(dim=0)
