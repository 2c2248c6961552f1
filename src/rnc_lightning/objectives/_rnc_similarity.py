"""The feature side of the Rank-N-Contrast loss: similarities of rows, and their gradient.

A similarity is kept as an energy z = -sim / temperature, so that for a distance z >= 0. A `Similarity` gives the
energies of a block of anchors against all rows, turns dL/ds of that block into weights, and maps weights to the
gradient with regard to the features. Rows are view-major: row v * batch + b is view v of sample b, and a block of
samples `start` to `stop` means those samples in every view.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor

_PAIR_BLOCK = 1 << 22  # numbers in a block of pairwise differences, 16 MiB in float32
_STRIP = 512  # rows of w + w^T at a time
_TILE = 256  # rows and columns of a transpose that stays in a core's cache
_MOST_NEAR = 1 / 32  # share of pairs above which float64 is cheaper than to measure each of them anew
_SHORTEST = 1e-12  # a feature no longer than this has no direction


class PrecisionExhaustedError(Exception):
    """Float32 does not suffice for these features; the same has to be done in float64."""


class Similarity(ABC):
    """Rows of features, ready to be compared.

    Args:
        features: Features (n, F) in the dtype to compute in, view-major.
        batch: Number of samples.
        temperature: The temperature tau.
        tolerance: Relative error that a distance may have.

    Attributes:
        low: A lower bound of the energies.
        high: An upper bound of the energies off the diagonal, or infinity.
    """

    low: float = 0.0
    high: float = float("inf")

    def __init__(self, features: Tensor, batch: int, temperature: float, tolerance: float) -> None:
        self.features, self.batch, self.temperature = features, batch, temperature

    def blocks(self, start: int, stop: int, matrix: Tensor) -> list[tuple[Tensor, slice]]:
        """Contiguous parts (rows, n) of a matrix (views, stop - start, n) with the rows that are their anchors."""
        if stop - start == self.batch:
            return [(matrix.view(-1, matrix.shape[-1]), slice(0, len(self.features)))]
        firsts = range(0, len(self.features), self.batch)
        return [(part, slice(at + start, at + stop)) for part, at in zip(matrix, firsts, strict=True)]

    def set_diagonal(self, matrix: Tensor, start: int, stop: int, value: float) -> None:
        """Fill the entries (views, b, n) where an anchor meets itself."""
        for part, anchors in self.blocks(start, stop, matrix):
            part[:, anchors].fill_diagonal_(value)

    @abstractmethod
    def energies(self, start: int, stop: int, out: Tensor) -> None:
        """Write energies of these anchors against all rows into `out` (views, b, n), infinity on the diagonal."""

    def weigh(self, coefficients: Tensor, energies: Tensor, start: int, stop: int) -> None:
        """Write over the energies (views, b, n) the weights that dL/ds gives; dL/ds is undefined on the diagonal."""
        energies.copy_(coefficients)
        self.set_diagonal(energies, start, stop, 0.0)

    @abstractmethod
    def gradient(self, weights: Tensor) -> Tensor:
        """Sum (n, F) of the pulls of all pairs, from their weights (n, n)."""

    @abstractmethod
    def add_gradient(self, weights: Tensor, start: int, stop: int, total: Tensor) -> None:
        """Add to `total` (n, F) the pulls of these anchors' weights (views, b, n), on either end."""

    def finish(self, total: Tensor) -> Tensor:
        """Gradient with regard to the features, from the summed pulls (n, F)."""
        return total.mul_(-1 / self.temperature)


class _Springs(Similarity):
    """Pairs pull like springs: with symmetric weights w, row i gets sum_j w_ij (y_i - y_j)."""

    points: Tensor
    _left: Tensor
    _right: Tensor

    def _products(self, start: int, stop: int, out: Tensor, alpha: float = 1.0) -> None:
        """Write alpha * left @ right for these anchors into `out` (views, b, n)."""
        for rows, anchors in self.blocks(start, stop, out):
            torch.addmm(rows[:1], self._left[anchors], self._right, beta=0, alpha=alpha, out=rows)

    def gradient(self, weights: Tensor) -> Tensor:
        points, n = self.points, len(self.points)
        total = torch.zeros_like(points)
        for start in range(0, n, _STRIP):
            stop = min(start + _STRIP, n)
            strip = _upper_strip(weights, start, stop)
            total[start:stop].addmm_(strip, points[start:], alpha=-1)
            total[start:stop].addcmul_(strip.sum(1, keepdim=True), points[start:stop])
            if stop < n:  # the same weights, transposed, for the rows below
                below = strip[:, stop - start :]
                total[stop:].addmm_(below.t(), points[start:stop], alpha=-1)
                total[stop:].addcmul_(below.sum(0)[:, None], points[stop:])
        return total

    def add_gradient(self, weights: Tensor, start: int, stop: int, total: Tensor) -> None:
        for part, anchors in self.blocks(start, stop, weights):
            total[anchors].addmm_(part, self.points, alpha=-1)
            total[anchors].addcmul_(part.sum(1, keepdim=True), self.points[anchors])
            total.addmm_(part.t(), self.points[anchors], alpha=-1)
            total.addcmul_(part.sum(0)[:, None], self.points)


def _upper_strip(weights: Tensor, start: int, stop: int) -> Tensor:
    """Rows `start` to `stop` of w + w^T, from column `start` on."""
    strip = weights[start:stop, start:].clone()
    for low in range(0, stop - start, _TILE):
        part = strip[low : low + _TILE]
        for left in range(0, strip.shape[1], _TILE):
            across = weights[start + left : start + left + _TILE, start + low : start + low + len(part)]
            part[:, left : left + _TILE] += across.t()
    return strip


class NegativeL2(_Springs):
    """-||v_i - v_j||, by a matrix product, and anew from the difference where that would cancel."""

    def __init__(self, features: Tensor, batch: int, temperature: float, tolerance: float) -> None:
        super().__init__(features, batch, temperature, tolerance)
        # A mean in float64 turns equal features into zeros.
        mean = (features.sum(0, dtype=torch.float64) / len(features)).to(features.dtype)
        # |y - y'|^2 in one product: -2 [y, -|y|^2 / 2, 1] . [y', 1, -|y'|^2 / 2]
        width = features.shape[1]
        right = features.new_empty(len(features), width + 2)
        self.points = torch.sub(features, mean, out=right[:, :width]).mul_(1 / temperature)
        self._squares = self.points.square().sum(1)
        right[:, width].fill_(1.0)
        torch.mul(self._squares, -0.5, out=right[:, width + 1])
        self._left, self._right = right.clone(), right.t()
        self._left[:, width], self._left[:, width + 1] = right[:, width + 1], right[:, width]
        # It errs by about 1.3 eps (|y|^2 + |y'|^2) (measured), so below this share of that sum it is too coarse.
        self._cancels = 0.65 * torch.finfo(features.dtype).eps / tolerance
        self._largest = self._squares.amax()
        self._near: tuple[Tensor, Tensor, Tensor, Tensor] | None = None
        self._near_total: Tensor | None = None

    def energies(self, start: int, stop: int, out: Tensor) -> None:
        self._products(start, stop, out, alpha=-2)
        self.set_diagonal(out, start, stop, float("inf"))
        self._near = None
        largest, least = torch.stack((self._largest, out.amin())).tolist()  # the one synchronisation on a GPU
        if out.dtype == torch.float32 and largest > 0 and not 1e-25 < largest < 1e30:
            raise PrecisionExhaustedError
        self.high = 2 * largest**0.5
        if least <= 2 * self._cancels * largest:
            self._find_near(start, stop, out)
            out.clamp_min_(torch.finfo(out.dtype).tiny)
        out.sqrt_()
        if self._near is not None:
            *where, distance = self._near
            out[tuple(where)] = distance / self.temperature

    def _find_near(self, start: int, stop: int, squared: Tensor) -> None:
        limit = self._cancels * self._squares
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
        return self.features.index_select(0, anchor) - self.features.index_select(0, candidate)

    def weigh(self, coefficients: Tensor, energies: Tensor, start: int, stop: int) -> None:
        if self._near is None:
            torch.div(coefficients, energies, out=energies)  # infinity on the diagonal leaves 0
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
    """v_i . v_j / (|v_i| |v_j|); a zero feature has similarity 0 to all rows, and gradient 0."""

    def __init__(self, features: Tensor, batch: int, temperature: float, tolerance: float) -> None:
        super().__init__(features, batch, temperature, tolerance)
        wide = features.double()
        length = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
        empty = length <= _SHORTEST
        unit = (wide / length).masked_fill_(empty, 0.0)
        self._inverse_length = length.reciprocal().masked_fill_(empty, 0.0).to(features.dtype)
        # Centred, so that directions that nearly agree keep their differences: u . u' = a . a' + r + r' + |m|^2
        mean = unit.mean(0)
        wide = unit - mean
        along = (wide @ mean)[:, None]
        self._unit, self.points = unit.to(features.dtype), wide.to(features.dtype)
        ones = torch.ones_like(self.points[:, :1])
        scale = -1 / temperature
        first = ((along + mean @ mean) * scale).to(features.dtype)
        self._left = torch.cat((self.points * scale, first, ones * scale), dim=1)
        self._right = torch.cat((self.points, ones, along.to(features.dtype)), dim=1).t()
        # Without zeros among them u . u' = 1 - |a - a'|^2 / 2
        apart = float(torch.where(empty.any(), 2.0, 2 * wide.square().sum(1).amax()))
        self.low, self.high = -1 / temperature, (apart - 1) / temperature

    def energies(self, start: int, stop: int, out: Tensor) -> None:
        self._products(start, stop, out)
        self.set_diagonal(out, start, stop, float("inf"))

    def finish(self, total: Tensor) -> Tensor:
        total = super().finish(total)
        total.addcmul_((total * self._unit).sum(1, keepdim=True), self._unit, value=-1)
        return total.mul_(self._inverse_length)


class NegativeL1(Similarity):
    """-sum |v_i - v_j|, with sign(0) = 0 in the gradient."""

    def energies(self, start: int, stop: int, out: Tensor) -> None:
        for part, anchors in self.blocks(start, stop, out):
            torch.div(torch.cdist(self.features[anchors], self.features, p=1), self.temperature, out=part)
        self.set_diagonal(out, start, stop, float("inf"))

    def gradient(self, weights: Tensor) -> Tensor:
        return self._signs(weights + weights.t(), self.features, self.features)

    def add_gradient(self, weights: Tensor, start: int, stop: int, total: Tensor) -> None:
        for part, anchors in self.blocks(start, stop, weights):
            total[anchors] += self._signs(part, self.features[anchors], self.features)
            total += self._signs(part.t(), self.features, self.features[anchors])

    def _signs(self, weights: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Rows i of sum_j w_ij sign(a_i - b_j). On CUDA the kernel holds all differences, so it goes by blocks."""
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
