"""The label side of the Rank-N-Contrast loss: the members of S_ij, computed from the labels alone.

Candidates are grouped into *positions*. A position is a distinct label if labels repeat so often that summing over them
first is cheaper, otherwise a sample. Views of a sample share one position. For each anchor the positions are sorted by
label distance. Then every S_ij is the far end of that order from some place on, and a sum over S_ij is a cumulative sum
from the far end. Candidates whose S_ij start at the same place tie. They are counted at that place, so that the sum
over {j : m in S_ij}, which the gradient needs, is a cumulative sum from the near end.

If only the K nearest candidates are positives, the group of ties at the K-th place shares the rest of K equally, so the
order of a batch does not matter; nearer groups count fully and farther groups not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rnc_lightning.targets.distances import (
    TargetDistance,
    angular_degrees_distance,
    angular_distance,
    l1_distance,
    l2_distance,
)

# Grouping costs two matrix products with a (batch, positions) indicator, sorting every row costs about five passes;
# they take the same time at about this many distinct labels.
_MOST_GROUPS = 320
# numpy's stable sort merges the two runs of |y - y_i| over sorted y five times faster than one thread of torch.sort.
_NUMPY_SORT_THREADS = 4
_FLOOR_BLOCK = 1 << 20  # label pairs ranked at a time for the floor
_BUILT_IN = (l1_distance, l2_distance, angular_distance, angular_degrees_distance)


@dataclass(frozen=True)
class RankTable:
    """The order of the P positions by label distance, for g anchors.

    Attributes:
        order: Positions from far to near (g, P), int64; the anchor's own position is last.
        place: Place of each position from near to far (g, P), int64.
        starts: Number of positives whose S_ij starts at each place from near to far (g, P).
        weights: Weight as a positive of each candidate at a position, from 0 to 1 (g, P); None if all are 1.
    """

    order: Tensor
    place: Tensor
    starts: Tensor
    weights: Tensor | None = None

    def rows(self, index: Tensor) -> "RankTable":
        """Select the anchors with these row numbers."""
        return self._map(lambda part: part.index_select(0, index))

    def to(self, device: torch.device) -> "RankTable":
        """Copy the table to a device."""
        return self._map(lambda part: part.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "RankTable":
        weights = None if self.weights is None else change(self.weights)
        return RankTable(change(self.order), change(self.place), change(self.starts), weights)


def rank_table(
    distance: Tensor,
    own: Tensor,
    sizes: Tensor,
    tolerance: float,
    positives: int | None = None,
    dtype: torch.dtype = torch.float64,
) -> RankTable:
    """Order the positions around each anchor.

    Args:
        distance: Label distances (g, P) float64, from each anchor to each position; overwritten.
        own: The anchor's own position (g, 1) int64.
        sizes: Number of rows at each position (P,).
        tolerance: m is in S_ij where d_im >= d_ij - tolerance.
        positives: Number of positives of an anchor, the nearest candidates; None for all.
        dtype: Type of the weights.
    """
    distance.scatter_(1, own, -1.0)  # sorts before all others at distance 0, because it has no mass
    outward, nearness = _near_to_far(distance)
    nearness[:, 0] = 0.0
    places = torch.arange(distance.shape[1], device=distance.device).expand_as(outward)
    place = torch.empty_like(outward).scatter_(1, outward, places)
    starts = sizes.index_select(0, outward.view(-1)).view_as(outward)
    starts[:, 0] -= 1.0  # the anchor is not its own candidate
    groups = _first_place(nearness, tolerance) if _has_ties(nearness, tolerance) else None
    if groups is not None:
        starts = torch.zeros_like(starts).scatter_add_(1, groups, starts)
    if positives is None:
        return RankTable(outward.flip(1), place, starts)
    limited = count_nearest(starts, positives)
    weights = limited.to(dtype) / starts.clamp(min=1).to(dtype)
    if groups is not None:
        weights = weights.gather(1, groups)
    return RankTable(outward.flip(1), place, limited, weights.gather(1, place))


def count_nearest(starts: Tensor, positives: int) -> Tensor:
    """Number of candidates among the K nearest, of those whose S_ij start at each place from near to far (g, P)."""
    nearer = starts.cumsum(1).sub_(starts)
    return torch.minimum(starts, nearer.neg_().add_(positives).clamp_(min=0))


def _near_to_far(distance: Tensor) -> tuple[Tensor, Tensor]:
    """Indices and values of each row in ascending order."""
    if distance.device.type == "cpu" and torch.get_num_threads() <= _NUMPY_SORT_THREADS:
        outward = torch.from_numpy(np.argsort(distance.numpy(), axis=1, kind="stable"))
        return outward, distance.gather(1, outward)
    nearness, outward = distance.sort(dim=1)
    return outward, nearness


def _has_ties(nearness: Tensor, tolerance: float) -> bool:
    if nearness.device.type != "cpu":
        return True  # checking would need a synchronisation
    if nearness.shape[1] == 1:
        return False
    return not float(((nearness[:, 1:] - tolerance) - nearness[:, :-1]).amin()) > 0


def _first_place(nearness: Tensor, tolerance: float) -> Tensor:
    """For each place the first place with distance >= its own - tolerance, from ascending distances (g, P)."""
    if tolerance > 0:
        return torch.searchsorted(nearness, nearness - tolerance)
    places = torch.arange(nearness.shape[1], dtype=torch.int32, device=nearness.device)
    first = torch.zeros_like(nearness, dtype=torch.int32)
    torch.mul(nearness[:, 1:] != nearness[:, :-1], places[1:], out=first[:, 1:])
    return first.cummax(1).values.long()


@dataclass(frozen=True)
class DistinctLabels:
    """The distinct targets of a batch.

    Attributes:
        values: Distinct targets (U, D).
        index: Index in `values` of the target of each sample (B,), samples in the order of `sample_order`.
        counts: Number of samples with each target (U,).
        sample_order: Indices of the samples sorted by target (B,), None if they keep the given order.
    """

    values: Tensor
    index: Tensor
    counts: Tensor
    sample_order: Tensor | None


def distinct_labels(targets: Tensor, distance: TargetDistance) -> DistinctLabels:
    """Find the distinct rows of targets (B, D); scalar targets are sorted by value, which makes ranking faster."""
    if targets.shape[1] == 1 and distance in (l1_distance, l2_distance):
        targets, order = targets[:, 0].sort()
        values, index, counts = torch.unique_consecutive(targets, return_inverse=True, return_counts=True)
        return DistinctLabels(values[:, None], index, counts, order)
    values, index, counts = torch.unique(targets, dim=0, return_inverse=True, return_counts=True)
    return DistinctLabels(values, index, counts, None)


class LabelRanks:
    """What the loss needs to know about the targets of a batch.

    Args:
        targets: Finite targets (B, D) float64, on the CPU.
        views: Rows per sample.
        distance: The label distance.
        tolerance: Distances that differ by no more than this tie.
        device: Device on which the tables are used.
        positives: Number of positives of each anchor, fewer than the candidates; None for all.

    Attributes:
        batch: Number of samples B.
        views: Rows per sample V.
        positives: Number of positives of each anchor.
        positions: Number of positions P.
        sample_order: Indices that sort the samples (B,), None to keep their order.
        membership: Indicator (B, P) float32 of the position of each (sorted) sample, None if positions are samples.
        index: Index of the distinct label of each (sorted) sample (B,); its position if there is a membership.
    """

    def __init__(
        self,
        targets: Tensor,
        views: int,
        distance: TargetDistance,
        tolerance: float,
        device: torch.device,
        positives: int | None = None,
    ) -> None:
        self.batch, self.views, self.device = len(targets), views, device
        self.positives = self.batch * views - 1 if positives is None else positives
        self._distance, self._tolerance, self._limit = distance, tolerance, positives
        labels = distinct_labels(targets, distance)
        self._labels = labels.values.to(device)
        self.index = labels.index.to(device)
        self.sample_order = None if labels.sample_order is None else labels.sample_order.to(device)
        self.positions = self.batch
        self.membership: Tensor | None = None
        self._table: RankTable | None = None
        distinct = len(labels.values)
        if distinct <= min(_MOST_GROUPS, self.batch // 2):
            self.positions = distinct
            between = label_distances(distance, labels.values, labels.values)
            sizes = (labels.counts * views).float()
            self._table = rank_table(between, torch.arange(distinct)[:, None], sizes, tolerance, positives).to(device)
            members = torch.zeros(self.batch, distinct, device=device)
            self.membership = members.scatter_(1, self.index[:, None], 1.0)

    def table(self, start: int, stop: int, dtype: torch.dtype) -> RankTable:
        """The table of the (sorted) samples from `start` to `stop`, with weights of type `dtype`."""
        anchors = self.index[start:stop]
        if self._table is not None:
            return self._table.rows(anchors)
        # Computed for distinct labels only, so that samples with equal labels get equal distances.
        distance = label_distances(self._distance, self._labels[anchors], self._labels)
        if len(self._labels) < self.batch or self.sample_order is None:
            distance = distance.index_select(1, self.index)
        own = torch.arange(start, stop, device=self.device)[:, None]
        sizes = torch.full((self.batch,), float(self.views), device=self.device)
        return rank_table(distance, own, sizes, self._tolerance, self._limit, dtype)


def loss_floor(
    targets: Tensor, views: int, distance: TargetDistance, tolerance: float, positives: int | None = None
) -> Tensor:
    """The floor L*, a float64 scalar, for finite targets (B, D) float64 on the CPU with B * views >= 2."""
    labels = distinct_labels(targets, distance)
    sizes = (labels.counts * views).double()
    total = sizes.new_zeros(())
    step = max(1, _FLOOR_BLOCK // len(sizes))
    for first in range(0, len(sizes), step):
        anchors = torch.arange(first, min(first + step, len(sizes)))
        between = label_distances(distance, labels.values[anchors], labels.values)
        starts = rank_table(between, anchors[:, None], sizes, tolerance).starts
        limited = starts if positives is None else count_nearest(starts, positives)
        total += torch.xlogy(limited, starts).sum(1) @ sizes[anchors]
    rows = len(targets) * views
    return total / (rows * (rows - 1 if positives is None else positives))


def label_distances(distance: TargetDistance, a: Tensor, b: Tensor) -> Tensor:
    """Compute and check label distances (m, n), float64.

    Raises:
        ValueError: If a callable returns another shape, or distances that are not finite.
    """
    measured = distance(a, b)
    if not isinstance(measured, Tensor) or measured.shape != (len(a), len(b)):
        got = tuple(measured.shape) if isinstance(measured, Tensor) else type(measured).__name__
        raise ValueError(
            f"target_distance must return distances of shape (m, n) = {(len(a), len(b))} for targets "
            f"(m, D) and (n, D), got {got}"
        )
    if distance not in _BUILT_IN and not bool(measured.isfinite().all()):
        raise ValueError("target_distance returned NaN or infinite distances; every distance must be finite")
    return measured.to(torch.float64, copy=distance not in _BUILT_IN)
