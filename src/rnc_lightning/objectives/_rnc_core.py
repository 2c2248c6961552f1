"""The Rank-N-Contrast loss and its closed-form gradient, one block of anchors at a time.

With energies z_ij = -s_ij, T_ij = sum_{k in S_ij} exp(-z_ik), n rows and K positives for each anchor,

    L = 1/(nK) sum_i sum_{j != i} w_ij (log T_ij + z_ij)
    dL/ds_im = 1/(nK) (exp(-z_im) H_im - w_im),    H_im = sum_{j : m in S_ij} w_ij / T_ij

K is n - 1 and all w_ij are 1 unless the positives are limited. The sums T and H run over label positions (see
`_rnc_ranks`), T from far to near and H from near to far.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnc_lightning.objectives._rnc_ranks import LabelRanks, RankTable
from rnc_lightning.objectives._rnc_similarity import PrecisionExhaustedError, Similarity

_FULL_BYTES = 1 << 30  # keep the weights of all pairs up to this size (n = 16384); saves half of the products
_BLOCK_BYTES = 1 << 27  # additional working space of a block of anchors
_NARROWEST = 0.1  # below this range of energies exp(-z) H - 1 may cancel in float32
# Largest range of energies in which exp(-z), shifted to the middle, and sums of n of its inverses stay accurate
_LINEAR_RANGE = {torch.float32: 64.0, torch.float64: 1200.0}
# Allowed relative errors of a distance: in float32, in float64 for float32 features, in float64.
_TOLERANCES = (4e-6, 1e-7, 1e-11)


class RnCTask(NamedTuple):
    """The arguments of the loss apart from the features; only the anchors of `share` (index, number) are used."""

    ranks: LabelRanks
    kind: type[Similarity]
    temperature: float
    chunk_size: int | None
    share: tuple[int, int]
    with_gradient: bool


class RnCFunction(torch.autograd.Function):
    """The loss of features (n, F); the gradient is computed in the forward pass, one block at a time."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, task: RnCTask) -> Tensor:
        """Compute the loss and save only dL/dfeatures."""
        narrow = features.dtype != torch.float64
        dtype = torch.float32 if narrow else torch.float64
        with torch.autocast(features.device.type, enabled=False), _full_precision():
            try:
                loss, gradient = _evaluate(features.to(dtype), task, _TOLERANCES[0 if narrow else 2])
            except PrecisionExhaustedError:
                loss, gradient = _evaluate(features.double(), task, _TOLERANCES[1])
        if gradient is not None:
            ctx.save_for_backward(features, gradient.to(features.dtype))
        return loss.to(dtype)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        """Scale the saved gradient."""
        features, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():
            gradient = _FirstDerivative.apply(gradient, features)
        return gradient * grad_outputs[0].to(gradient.dtype), None


class _FirstDerivative(torch.autograd.Function):
    """The gradient as a function of the features, so that its derivative raises an error instead of being 0."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, features: Tensor) -> Tensor:
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError("the RnC loss has a closed-form gradient and no second derivative")


@contextmanager
def _full_precision() -> Iterator[None]:
    """Compute matrix products in full float32, regardless of `torch.set_float32_matmul_precision`."""
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)  # type: ignore[attr-defined]
    before = [backend.fp32_precision for backend in backends]
    try:
        for backend in backends:
            backend.fp32_precision = "ieee"
        yield
    finally:
        for backend, precision in zip(backends, before, strict=True):
            backend.fp32_precision = precision


def _evaluate(features: Tensor, task: RnCTask, tolerance: float) -> tuple[Tensor, Tensor | None]:
    """Loss (float64 scalar) and gradient (n, F) of features (n, F) in sample order."""
    ranks, kind, temperature, chunk_size, share, with_gradient = task
    n, views, batch = len(features), ranks.views, ranks.batch
    first, last = (batch * index // share[1] for index in (share[0], share[0] + 1))
    rows = _row_order(ranks)
    similarity = kind(features, rows, batch, temperature, tolerance)
    step, keep_all = _plan(n, views, last - first, features.element_size(), chunk_size)
    keep_all = keep_all and with_gradient and last - first == batch
    loss = torch.zeros((), dtype=torch.float64, device=features.device)
    weights = features.new_empty(views, batch if keep_all else step, n)
    scratch = torch.empty_like(weights) if step == batch else features.new_empty(views, step, n)
    total = None if keep_all or not with_gradient else torch.zeros_like(features)
    square = weights.shape[1] == batch
    if square:
        similarity.compare_all(weights.view(n, n))
    for start in range(first, last, step):
        stop = min(start + step, last)
        block = weights[:, start:stop] if square else weights[:, : stop - start]
        if not square:
            similarity.compare_block(start, stop, block)
        loss += anchor_block(similarity, ranks, start, stop, block, scratch[:, : stop - start], with_gradient)
        if total is not None:
            similarity.add_gradient(block, start, stop, total)
    scale = 1 / (n * ranks.positives)
    if not with_gradient:
        return loss * scale, None
    if total is None:
        del scratch
        total = similarity.gradient(weights.view(n, n))
    gradient = similarity.finish(total).mul_(scale)
    return loss * scale, gradient if rows is None else gradient.index_select(0, rows.argsort())


def _row_order(ranks: LabelRanks) -> Tensor | None:
    """Indices of the rows (in sample order) that put them in view-major order of the sorted samples; None if sorted."""
    if ranks.sample_order is None and ranks.views == 1:
        return None
    order = ranks.sample_order
    if order is None:
        order = torch.arange(ranks.batch, device=ranks.device)
    views = torch.arange(ranks.views, device=order.device)
    return (order * ranks.views + views[:, None]).view(-1)


def _plan(n: int, views: int, batch: int, size: int, chunk_size: int | None) -> tuple[int, bool]:
    """Number of samples in a block of anchors, and whether the weights of all pairs are kept to the end."""
    batch = max(1, batch)  # a share may be empty
    if chunk_size is not None:
        step = min(batch, max(1, chunk_size // views))
        return step, step == batch
    # Per row: two (n,) vectors, about five values per view and position, five tables of 8 bytes shared by the views.
    row_bytes = n * size * (2 + 5 / views) + 40 * batch / views
    step = min(batch, max(1, int(_BLOCK_BYTES / row_bytes / views)))
    return step, n * n * size <= _FULL_BYTES


def anchor_block(
    similarity: Similarity,
    ranks: LabelRanks,
    start: int,
    stop: int,
    energies: Tensor,
    scratch: Tensor,
    with_gradient: bool,
) -> Tensor:
    """Sum of the loss over the anchors of a block of samples, with all rows as candidates.

    Args:
        similarity: The features.
        ranks: The labels.
        start: First sample, in the order of `ranks`.
        stop: End of the block, exclusive.
        energies: The compared pairs (views, stop - start, n); overwritten with the weights for `similarity`.
        scratch: Working space of the same shape.
        with_gradient: Whether to compute the weights.

    Returns:
        Sum over anchors and candidates of w (log T + z), float64 scalar.

    Raises:
        PrecisionExhaustedError: If float64 is needed.
    """
    views, anchors, _ = energies.shape
    similarity.energies(start, stop, energies)
    similarity.set_diagonal(energies, start, stop, 0.0)
    table = ranks.table(start, stop, energies.dtype)
    weights = _weights(ranks, table, energies.dtype)
    total = _energy(ranks, energies, weights, scratch)
    low, high = similarity.low, similarity.high
    limit = _LINEAR_RANGE[energies.dtype]
    if high - low > limit:
        high = float(energies.amax())
    similarity.set_diagonal(energies, start, stop, float("inf"))
    if energies.dtype == torch.float32 and (high - low > limit or 0 < high - low < _NARROWEST):
        raise PrecisionExhaustedError
    if high - low > limit:
        torch.neg(energies, out=scratch)
        total += _log_terms(ranks, table, scratch, weights, with_gradient)
    else:
        shift = (low + high) / 2
        torch.sub(shift, energies, out=scratch).exp_()
        total += _linear_terms(ranks, table, scratch, weights, with_gradient)
        total -= shift * views * anchors * ranks.positives
    if with_gradient:
        similarity.weigh(scratch, energies, start, stop)
    return total


def _weights(ranks: LabelRanks, table: RankTable, dtype: torch.dtype) -> Tensor | None:
    """The weights w (b, 1, samples) of the candidates, the same for all views; None if all are 1."""
    if table.weights is None:
        return None
    weights = table.weights.to(dtype)
    return (weights if ranks.membership is None else weights.index_select(1, ranks.index)).unsqueeze(1)


def _energy(ranks: LabelRanks, energies: Tensor, weights: Tensor | None, scratch: Tensor) -> Tensor:
    """Sum of w z over energies (views, b, n)."""
    if weights is not None:
        by_view = energies.view(*energies.shape[:2], ranks.views, ranks.batch)
        torch.mul(by_view, weights, out=scratch.view_as(by_view))
        energies = scratch
    return energies.sum(-1).sum(dtype=torch.float64)


def _linear_terms(
    ranks: LabelRanks, table: RankTable, exps: Tensor, weights: Tensor | None, with_gradient: bool
) -> Tensor:
    """Sum of w log T; overwrites the exponentials (views, b, n) with dL/ds without the factor 1/(nK)."""
    views, anchors, _ = exps.shape
    by_view = exps.view(views, anchors, views, ranks.batch)
    mass = by_view[:, :, 0] if views == 1 else by_view[:, :, 0] + by_view[:, :, 1]
    for view in range(2, views):  # faster than a sum over a middle dimension
        mass += by_view[:, :, view]
    if ranks.membership is not None:
        membership = ranks.membership.to(exps.dtype)
        mass = (mass.reshape(-1, ranks.batch) @ membership).view(views, anchors, -1)
    tails = mass.gather(-1, table.order.expand(views, -1, -1)).cumsum_(-1).flip(-1)
    loss = (tails.log() * table.starts).sum(-1).sum(dtype=torch.float64)
    if not with_gradient:
        return loss
    inverse = torch.div(table.starts, tails, out=tails).cumsum_(-1)
    inverse = inverse.gather(-1, table.place.expand(views, -1, -1))
    if ranks.membership is not None:
        inverse = (inverse.view(-1, ranks.positions) @ membership.t()).view(views, anchors, ranks.batch)
    base = exps.new_full((), -1.0) if weights is None else -weights
    torch.addcmul(base, by_view, inverse.unsqueeze(2), out=by_view)
    return loss


def _log_terms(
    ranks: LabelRanks, table: RankTable, logits: Tensor, weights: Tensor | None, with_gradient: bool
) -> Tensor:
    """The same from the logits -z, in the log domain, for ranges that are too wide for exp(-z)."""
    views, anchors, _ = logits.shape
    by_view = logits.view(views, anchors, views, ranks.batch)
    mass = by_view.logsumexp(2)
    if ranks.membership is not None:
        mass = _log_sum_by_group(mass, ranks.index)
    tails = mass.gather(-1, table.order.expand(views, -1, -1)).logcumsumexp(-1).flip(-1)
    loss = (tails * table.starts).sum(dtype=torch.float64)
    if not with_gradient:
        return loss
    inverse = (table.starts.to(tails.dtype).log() - tails).logcumsumexp(-1)
    inverse = inverse.gather(-1, table.place.expand(views, -1, -1))
    if ranks.membership is not None:
        inverse = inverse.index_select(-1, ranks.index)
    by_view.add_(inverse.unsqueeze(2)).exp_().sub_(1.0 if weights is None else weights)
    return loss


def _log_sum_by_group(logits: Tensor, index: Tensor) -> Tensor:
    """Log of the sum of exponentials over the samples (last dimension) of each group."""
    counts = torch.bincount(index).tolist()
    groups = torch.split(logits.index_select(-1, index.argsort()), counts, dim=-1)
    return torch.stack([group.logsumexp(-1) for group in groups], dim=-1)
