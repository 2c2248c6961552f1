"""The feature side of the Rank-N-Contrast loss: similarities of rows and their gradient.

A similarity is stored as an energy z = -sim / temperature, so that z >= 0 for distances. A `Similarity` computes the
energies between a block of anchors and all rows, turns dL/ds of that block into weights, and maps weights to the
gradient with respect to the features. Rows are view-major: row v * batch + b is view v of sample b, and a block of
samples from `start` to `stop` means those samples in every view.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

_PAIR_BLOCK = 1 << 22  # numbers in a block of pairwise differences; 16 MiB in float32
_STRIP = 256  # columns transposed at a time, so that the rows they are read from stay in the cache of a core
_MOST_NEAR = 1 / 32  # above this share of pairs, float64 is cheaper than recomputing each of them
_SHORTEST = 1e-12  # a feature of this length or shorter has no direction


class PrecisionExhaustedError(Exception):
    """Float32 is not accurate enough for these features; use float64."""


class Similarity(ABC):
    """Rows of features, prepared for comparison.

    Args:
        features: Features (n, F) in the dtype of the computation.
        rows: Indices that put them in view-major order (n,), None if they are in that order.
        batch: Number of samples.
        temperature: The temperature tau.
        tolerance: Allowed relative error of a distance.

    Attributes:
        low: A lower bound of the energies.
        high: An upper bound of the energies off the diagonal, or infinity.
        points: The rows to compare (n, F), view-major.
    """

    low: float = 0.0
    high: float = float("inf")

    points: Tensor

    def __init__(self, features: Tensor, rows: Tensor | None, batch: int, temperature: float, tolerance: float) -> None:
        self.features, self.rows, self.batch, self.temperature = features, rows, batch, temperature

    def ordered(self) -> Tensor:
        """A copy of the features in view-major order."""
        return self.features.clone() if self.rows is None else self.features.index_select(0, self.rows)

    def blocks(self, start: int, stop: int, matrix: Tensor) -> list[tuple[Tensor, slice]]:
        """Contiguous parts (rows, n) of a matrix (views, stop - start, n), each with the rows of its anchors."""
        if stop - start == self.batch:
            return [(matrix.view(-1, matrix.shape[-1]), slice(0, len(self.features)))]
        firsts = range(0, len(self.features), self.batch)
        return [(part, slice(at + start, at + stop)) for part, at in zip(matrix, firsts, strict=True)]

    def set_diagonal(self, matrix: Tensor, start: int, stop: int, value: float) -> None:
        """Fill the entries (views, b, n) that compare an anchor with itself."""
        for part, anchors in self.blocks(start, stop, matrix):
            part[:, anchors].fill_diagonal_(value)

    @abstractmethod
    def compare(self, anchors: slice, candidates: slice, out: Tensor) -> None:
        """Write the input of `energies` to `out`: one symmetric number for each pair of rows."""

    def compare_all(self, out: Tensor) -> None:
        """The same for all pairs (n, n), with half of the work."""
        n = len(out)
        width = _width(out)
        for start in range(0, n, width):
            stop = min(start + width, n)
            self.compare(slice(start, stop), slice(start, n), out[start:stop, start:])
            out[stop:, start:stop] = out[start:stop, stop:].t()

    def compare_block(self, start: int, stop: int, out: Tensor) -> None:
        """The same for the anchors of a block of samples and all rows (views, stop - start, n)."""
        for part, anchors in self.blocks(start, stop, out):
            self.compare(anchors, slice(0, len(self.features)), part)

    def energies(self, start: int, stop: int, compared: Tensor) -> None:
        """Turn compared pairs (views, stop - start, n) into energies, with infinity on the diagonal."""
        self.set_diagonal(compared, start, stop, float("inf"))

    def weigh(self, coefficients: Tensor, energies: Tensor, start: int, stop: int) -> None:
        """Overwrite the energies (views, b, n) with the weights from dL/ds, which is undefined on the diagonal."""
        energies.copy_(coefficients)
        self.set_diagonal(energies, start, stop, 0.0)

    @abstractmethod
    def gradient(self, weights: Tensor) -> Tensor:
        """Sum (n, F) of the contributions of all pairs, from their weights (n, n)."""

    @abstractmethod
    def add_gradient(self, weights: Tensor, start: int, stop: int, total: Tensor) -> None:
        """Add the contributions of these anchors' weights (views, b, n) to both rows of each pair in `total` (n, F)."""

    def finish(self, total: Tensor) -> Tensor:
        """Gradient with respect to the features, from the summed contributions (n, F)."""
        return total.mul_(-1 / self.temperature)


class _Springs(Similarity):
    """Pairs act like springs: with symmetric weights w, row i gets sum_j w_ij (y_i - y_j)."""

    _factor: float
    _offset: Tensor

    def compare(self, anchors: slice, candidates: slice, out: Tensor) -> None:
        right = self.points[candidates].t()
        torch.addmm(self._offset[candidates], self.points[anchors], right, alpha=self._factor, out=out)
        out += self._offset[anchors, None]

    def gradient(self, weights: Tensor) -> Tensor:
        points, n = self.points, len(self.points)
        total, sums = torch.zeros_like(points), points.new_zeros(n, 1)
        width = 2 * _width(weights)
        _add_transpose_below(weights)
        for start in range(0, n, width):
            stop = min(start + width, n)
            # Columns of w + w^T below the diagonal are used for their rows and, transposed, for the columns.
            strip = weights[start:, start:stop]
            total[start:].addmm_(strip, points[start:stop], alpha=-1)
            sums[start:] += strip.sum(1, keepdim=True)
            if stop < n:
                below = strip[stop - start :]
                total[start:stop].addmm_(below.t(), points[stop:], alpha=-1)
                sums[start:stop] += below.sum(0)[:, None]
        return total.addcmul_(sums, points)

    def add_gradient(self, weights: Tensor, start: int, stop: int, total: Tensor) -> None:
        for part, anchors in self.blocks(start, stop, weights):
            total[anchors].addmm_(part, self.points, alpha=-1)
            total[anchors].addcmul_(part.sum(1, keepdim=True), self.points[anchors])
            total.addmm_(part.t(), self.points[anchors], alpha=-1)
            total.addcmul_(part.sum(0)[:, None], self.points)


def _width(matrix: Tensor) -> int:
    """Columns to transpose at a time: on a CPU as many as fit in its caches, on a GPU all of them."""
    return _STRIP if matrix.device.type == "cpu" and len(matrix) > 2 * _STRIP else len(matrix)


def _add_transpose_below(weights: Tensor) -> None:
    """Add w^T (n, n) to w on and below the diagonal, and above it within squares of twice the width."""
    n, width = len(weights), _width(weights)
    for start in range(0, n, width):
        stop = min(start + width, n)
        square = weights[start:stop, start:stop]
        square += square.t().clone()
        if stop < n:
            below = weights[stop:, start:stop]
            below += weights[start:stop, stop:].t()
            if start % (2 * width) == 0:
                right = weights[start:stop, stop : stop + width]
                right.copy_(weights[stop : stop + width, start:stop].t())


class NegativeL2(_Springs):
    """-||v_i - v_j||, by a matrix product; recomputed from the difference for pairs where that would cancel."""

    _factor = -2.0  # |y - y'|^2 = |y|^2 + |y'|^2 - 2 y . y'

    def __init__(self, features: Tensor, rows: Tensor | None, batch: int, temperature: float, tolerance: float) -> None:
        super().__init__(features, rows, batch, temperature, tolerance)
        # The clamp makes equal features exactly zero, even if their mean is rounded.
        mean = features.mean(0).clamp_(features.amin(0), features.amax(0))
        self.points = self.ordered().sub_(mean).mul_(1 / temperature)
        self._offset = torch.linalg.vector_norm(self.points, dim=1).square_()
        # Its error is about 1.3 eps (|y|^2 + |y'|^2) (measured): too large below this fraction of that sum.
        self._cancels = 0.65 * torch.finfo(features.dtype).eps / tolerance
        self._largest = self._offset.amax()
        self._near: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self._near_total: Tensor | None = None

    def energies(self, start: int, stop: int, compared: Tensor) -> None:
        super().energies(start, stop, compared)
        self._near = None
        largest, least = torch.stack((self._largest, compared.amin())).tolist()  # the only synchronisation on a GPU
        if compared.dtype == torch.float32 and largest > 0 and not 1e-25 < largest < 1e30:
            raise PrecisionExhaustedError
        self.high = 2 * largest**0.5
        if least <= 2 * self._cancels * largest:
            self._find_near(start, stop, compared)
            compared.clamp_min_(torch.finfo(compared.dtype).tiny)
        compared.sqrt_()
        if self._near is not None:
            view, sample, candidate, distance = self._near
            compared[view, sample, candidate] = distance / self.temperature

    def _find_near(self, start: int, stop: int, squared: Tensor) -> None:
        limit = self._cancels * self._offset
        of_anchor = limit.view(-1, self.batch)[:, start:stop, None]
        view, sample, candidate = (squared < of_anchor + limit).nonzero(as_tuple=True)
        if squared.dtype == torch.float32 and len(view) > max(_MOST_NEAR * squared.numel(), len(self.features)):
            raise PrecisionExhaustedError
        anchor = view * self.batch + start + sample
        distance = self.features.new_empty(len(view))
        for part in self._pair_blocks(len(view)):
            distance[part] = torch.linalg.vector_norm(self._difference(anchor[part], candidate[part]), dim=1)
        self._near = (view, sample, candidate, distance)

    def _pair_blocks(self, pairs: int) -> list[slice]:
        step = max(1, _PAIR_BLOCK // self.features.shape[1])
        return [slice(first, first + step) for first in range(0, pairs, step)]

    def _difference(self, anchor: Tensor, candidate: Tensor) -> Tensor:
        if self.rows is not None:
            anchor, candidate = self.rows[anchor], self.rows[candidate]
        return self.features.index_select(0, anchor) - self.features.index_select(0, candidate)

    def weigh(self, coefficients: Tensor, energies: Tensor, start: int, stop: int) -> None:
        if self._near is None:
            torch.div(coefficients, energies, out=energies)  # 0 on the diagonal, where the energy is infinite
            return
        view, sample, candidate, distance = self._near
        pull = coefficients[view, sample, candidate] / distance
        pull.masked_fill_(distance == 0, 0.0)
        torch.div(coefficients, energies, out=energies)
        energies[view, sample, candidate] = 0.0
        if self._near_total is None:
            self._near_total = torch.zeros_like(self.features)
        anchor = view * self.batch + start + sample
        for part in self._pair_blocks(len(view)):
            pulls = self._difference(anchor[part], candidate[part]).mul_(pull[part, None])
            self._near_total.index_add_(0, anchor[part], pulls)
            self._near_total.index_add_(0, candidate[part], pulls, alpha=-1)

    def finish(self, total: Tensor) -> Tensor:
        if self._near_total is not None:
            total += self._near_total
        return super().finish(total)


class Cosine(_Springs):
    """v_i . v_j / (|v_i| |v_j|); a zero feature has similarity 0 to all rows and gradient 0."""

    def __init__(self, features: Tensor, rows: Tensor | None, batch: int, temperature: float, tolerance: float) -> None:
        super().__init__(features, rows, batch, temperature, tolerance)
        wide = self.ordered().double()
        length = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
        empty = length <= _SHORTEST
        unit = (wide / length).masked_fill_(empty, 0.0)
        self._unit = unit.to(features.dtype)
        self._inverse_length = length.reciprocal().masked_fill_(empty, 0.0).to(features.dtype)
        # Centred, so that differences of nearly equal directions are accurate: u . u' = a . a' + r + r'
        mean = unit.mean(0)
        wide = unit - mean
        self.points = wide.to(features.dtype)
        self._factor = -1 / temperature
        self._offset = (wide @ mean + mean @ mean / 2).mul_(self._factor).to(features.dtype)
        # Without zero features u . u' = 1 - |a - a'|^2 / 2
        apart = float(torch.where(empty.any(), 2.0, 2 * wide.square().sum(1).amax()))
        self.low, self.high = -1 / temperature, (apart - 1) / temperature

    def finish(self, total: Tensor) -> Tensor:
        total = super().finish(total)
        total.addcmul_((total * self._unit).sum(1, keepdim=True), self._unit, value=-1)
        return total.mul_(self._inverse_length)


class NegativeL1(Similarity):
    """-sum |v_i - v_j|, with sign(0) = 0 in the gradient."""

    def __init__(self, features: Tensor, rows: Tensor | None, batch: int, temperature: float, tolerance: float) -> None:
        super().__init__(features, rows, batch, temperature, tolerance)
        self.points = self.ordered()

    def compare(self, anchors: slice, candidates: slice, out: Tensor) -> None:
        distances = torch.cdist(self.points[anchors], self.points[candidates], p=1)
        torch.div(distances, self.temperature, out=out)

    def gradient(self, weights: Tensor) -> Tensor:
        return self._signs(weights + weights.t(), self.points, self.points)

    def add_gradient(self, weights: Tensor, start: int, stop: int, total: Tensor) -> None:
        for part, anchors in self.blocks(start, stop, weights):
            total[anchors] += self._signs(part, self.points[anchors], self.points)
            total += self._signs(part.t(), self.points, self.points[anchors])

    def _signs(self, weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Rows i of sum_j w_ij sign(a_i - b_j), in blocks on CUDA, where the kernel stores all differences."""
        step = len(a) if a.device.type == "cpu" else max(1, 8 * _PAIR_BLOCK // b.numel())
        parts = []
        for first in range(0, len(a), step):
            weight = weights[first : first + step].contiguous()
            parts.append(torch.ops.aten._cdist_backward(weight, a[first : first + step], b, 1.0, weight))
        return torch.cat(parts)


SIMILARITIES: dict[str, type[Similarity]] = {
    "negative_l2": NegativeL2,
    "negative_l1": NegativeL1,
    "cosine": Cosine,
}
