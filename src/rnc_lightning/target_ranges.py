"""A part of the targets: samples whose label lies within ranges, and those whose label does not."""

import difflib
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rnc_lightning.errors import UserError
from rnc_lightning.targets import TargetSpec

Ranges = dict[str, tuple[float, float]]


def read_ranges(given: Mapping[str, Any] | None, target: TargetSpec) -> Ranges:
    """Ranges by target name, from what a person wrote: `{age: {low: 20, high: 40}}`; a missing end is open.

    Raises:
        UserError: For a target that there is not, or what is no range.
    """
    ranges: Ranges = {}
    for name, ends in (given or {}).items():
        if name not in target.names:
            near = difflib.get_close_matches(str(name), target.names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the run predicts {', '.join(target.names)}"
            raise UserError(f"targets.{name}: no such target; {hint}")
        if not isinstance(ends, Mapping) or not ends or set(ends) - {"low", "high"}:
            raise UserError(f"targets.{name}: takes low, high or both, such as {{low: 20, high: 40}}; got {ends}")
        low, high = ends.get("low"), ends.get("high")
        numbers = [-math.inf if low is None else low, math.inf if high is None else high]
        if any(isinstance(n, bool) or not isinstance(n, int | float) or math.isnan(n) for n in numbers):
            raise UserError(f"targets.{name}: low and high must be numbers, got {ends}")
        if numbers[0] > numbers[1]:
            raise UserError(f"targets.{name}: low is above high: {ends}")
        ranges[name] = (float(numbers[0]), float(numbers[1]))
    return ranges


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
