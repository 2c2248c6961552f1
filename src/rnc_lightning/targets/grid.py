"""Evenly spaced bins of a target dimension."""

from dataclasses import dataclass

import torch
from torch import Tensor

_ROUNDING = 1e-7  # in steps


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
        # round() would round half to even; a label that is halfway but for rounding errors counts as halfway.
        ranks = torch.floor((labels.double() - self.low) / self.step + (0.5 + _ROUNDING))
        return ranks.clamp(0, self.count - 1).long()

    def clamp(self, labels: Tensor) -> Tensor:
        """Move labels outside the grid to its ends."""
        return labels.clamp(self.low, self.high)
