"""Which candidates the Rank-N-Contrast loss takes as positives, where only the K nearest in label count.

Candidates whose S_ij start at one place tie. A group of them that straddles the K-th place shares what is left of K
equally, so that the order of a batch plays no part. All groups before it count whole, and those behind it not at all.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cutoff:
    """Where the positives of some anchors end; one number each (g, 1).

    Attributes:
        first: The place, from near to far, of the first candidate of the group that straddles the K-th place.
        stop: The place after its last one.
        part: What each candidate of that group counts, in float64.
    """

    first: Tensor
    stop: Tensor
    part: Tensor

    def rows(self, index: Tensor) -> "Cutoff":
        """The cutoffs of the anchors with these rows."""
        return Cutoff(*(column.index_select(0, index) for column in (self.first, self.stop, self.part)))

    def to(self, device: torch.device) -> "Cutoff":
        """The same cutoffs on another device."""
        return Cutoff(self.first.to(device), self.stop.to(device), self.part.to(device))

    def weights(self, place: Tensor, dtype: torch.dtype) -> Tensor:
        """What a candidate at each position counts (g, P), from the positions' places (g, P)."""
        return torch.where(place < self.first, 1.0, torch.where(place < self.stop, self.part.to(dtype), 0.0))


def limit_positives(starts: Tensor, groups: Tensor | None, positives: int) -> Cutoff:
    """Keep of each anchor's candidates the `positives` nearest.

    Args:
        starts: For each place, from near to far, how many candidates have an S_ij that starts there (g, P), whole
            numbers, at least `positives` in a row; on return how many of them are positives, the straddling group's
            share included.
        groups: For each place where the S_ij of its candidates start (g, P), rising; None where each is its own.
        positives: K, at least 1.
    """
    reached = starts.cumsum(1)
    cut = torch.searchsorted(reached, reached.new_full((len(starts), 1), positives))
    size = starts.gather(1, cut)
    left = positives - (reached.gather(1, cut) - size)
    places = torch.arange(starts.shape[1], device=starts.device)
    starts.masked_fill_(places > cut, 0.0).scatter_(1, cut, left)
    if groups is None:
        first, stop = cut, cut + 1
    else:
        first, stop = torch.searchsorted(groups, cut), torch.searchsorted(groups, cut, right=True)
    return Cutoff(first, stop, left.double() / size.double())
