"""Ranges of the target: which labels lie inside."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class TargetRange:
    """A closed range of one target dimension.

    >>> TargetRange(low=10).contains(torch.tensor([[9.0], [10.0], [30.0]])).tolist()
    [False, True, True]

    Attributes:
        low: Its lower end, in label units; None: no end.
        high: Its upper end.
        dimension: Which of the target's dimensions, from 0 up.

    Raises:
        ValueError: For ends that are no numbers or in the wrong order, or another dimension.
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

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends, an open one infinite."""
        return -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high

    def contains(self, targets: Tensor) -> Tensor:
        """Which of the targets (N, D) lie in it, (N,) bool; its ends are compared in the targets' own precision."""
        if self.dimension >= targets.shape[1]:
            raise ValueError(f"there is no dimension {self.dimension}: the target has {targets.shape[1]}")
        values, (low, high) = targets[:, self.dimension], self.ends
        return (values >= low) & (values <= high)


def in_all_ranges(targets: Tensor, ranges: Iterable[TargetRange]) -> Tensor:
    """Which of the targets (N, D) lie in all of some ranges, (N,) bool.

    >>> ranges = [TargetRange(low=5), TargetRange(high=0, dimension=1)]
    >>> in_all_ranges(torch.tensor([[10.0, 1.0], [20.0, 0.0]]), ranges).tolist()
    [False, True]
    """
    within = torch.ones(len(targets), dtype=torch.bool)
    for one in ranges:
        within &= one.contains(targets)
    return within


def in_any_range(targets: Tensor, ranges: Iterable[TargetRange]) -> Tensor:
    """Which of the targets (N, D) lie in at least one of some ranges, (N,) bool."""
    found = torch.zeros(len(targets), dtype=torch.bool)
    for one in ranges:
        found |= one.contains(targets)
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
