"""SupReMix: SupCon with mixtures of projections as additional, harder negatives and positives.

Y. Wu et al., Mixup Your Own Pairs (SupReMix), arXiv 2309.16633. Per anchor i, among unit projections z with labels y:

* mix-negatives a z_i + (1 - a) z_k for every k with another label, with a drawn from a beta distribution; their labels
  are mixed in the same way;
* mix-positives a z_j + (1 - a) z_k for labels y_j < y_i < y_k, both within a window of y_i, with the a that makes the
  mixed label equal to y_i.

    L_i = log sum_{k != i, mixtures} (d_ik + 1) exp s_ik  -  mean over positives and mix-positives of s_ip

with s the cosine over tau and d the label distance. Mixtures take no gradient. The authors' code is not public; scaling
mixtures to length 1 and using one logarithm over real rows and mixtures together are our choices.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_finite_number, check_positive_number
from rnc_lightning.numerics.precision import products, unit_rows
from rnc_lightning.objectives.projection import Projector
from rnc_lightning.targets import TargetSpec

_MOST_NUMBERS = 2**24  # in one intermediate result: 64 MB in float32


def supremix_loss(
    projections: Tensor,
    targets: Tensor,
    *,
    temperature: float = 0.3,
    window: float = 5.0,
    mixing: Tensor,
    share: tuple[int, int] = (0, 1),
) -> Tensor:
    """SupReMix of a batch.

    Mixtures are never built: the cosine of an anchor and a mixture follows from cosines of real rows. Mix-positives are
    computed in chunks of anchors and again in the backward pass, so that memory does not grow with the number of pairs
    in the window.

    Args:
        projections: (N, P). Half precision is computed in float32, even under autocast.
        targets: (N,), in label units.
        temperature: tau > 0.
        window: Largest distance of the labels of a mix-positive from the anchor's label, in label units.
        mixing: Coefficients a (N, N) of the anchor (row) in its mix-negatives.
        share: (k, W) uses only the k-th of W shares of the anchors: the loss is the sum over the shares.

    Returns:
        The loss, a scalar: the mean over the anchors with a positive of either kind.
    """
    z = unit_rows(projections)
    y = targets.detach().double()
    order = y.argsort(stable=True)
    z, y, a = z[order], y[order], mixing[order][:, order].to(z.dtype)
    anchors = torch.arange(len(z), device=z.device).tensor_split(share[1])[share[0]]
    cosine = products(z, z.detach())  # in mixtures only the anchor takes a gradient
    real = products(z[anchors], z)
    apart = (y[anchors, None] - y).abs().to(z.dtype)
    itself = anchors[:, None] == torch.arange(len(z), device=z.device)
    same = (apart == 0) & ~itself

    own = cosine.diagonal()[anchors, None]
    share_own = a[anchors]
    mixed = _mixed(own, cosine[anchors], cosine[anchors].detach(), share_own)
    negatives = torch.where(apart > 0, mixed / temperature + ((1 - share_own) * apart).log1p(), -math.inf)
    others = torch.where(itself, -math.inf, real / temperature + apart.log1p())

    below, above = _bands(y, window, anchors)
    many = max(1, below.shape[1] * above.shape[1])
    chunks = len(anchors) * many // _MOST_NUMBERS + 1
    parts = [
        checkpoint(_mix_positives, cosine, y, mine, low, high, temperature, use_reentrant=False)
        for mine, low, high in zip(
            anchors.tensor_split(chunks), below.tensor_split(chunks), above.tensor_split(chunks), strict=True
        )
    ]
    log_sum, total, count = (torch.cat(column) for column in zip(*parts, strict=True))
    positives = same.sum(dim=1) + count
    closeness = ((real / temperature * same).sum(dim=1) + total) / positives.clamp(min=1)
    denominator = torch.cat([others, negatives, log_sum[:, None]], dim=1).logsumexp(dim=1)
    per_anchor = torch.where(positives > 0, denominator - closeness, 0)
    anchored = _with_positives(y, window).sum().clamp(min=1)
    return per_anchor.sum() / anchored


class SupReMix(nn.Module):
    """SupReMix on projections.

    Args:
        in_features: Width F of the features.
        target: The target, with one dimension.
        temperature: tau > 0.
        window: Largest distance of the labels of a mix-positive from the anchor's label, in label units.
        alpha: First parameter of the beta distribution of the anchor's coefficient in a mix-negative.
        beta: Second parameter.
        hidden_features: Width of the projector's hidden layer; None for F.
        projection: Width of the projections.

    Raises:
        ValueError: If the target has more than one dimension, so that labels have no order, or an argument is out of
            range.
    """

    def __init__(
        self,
        in_features: int,
        target: TargetSpec,
        temperature: float = 0.3,
        window: float = 5.0,
        alpha: float = 2.0,
        beta: float = 8.0,
        hidden_features: int | None = None,
        projection: int = 128,
    ) -> None:
        super().__init__()
        target.check_single("SupReMix")
        for name, value in (("temperature", temperature), ("alpha", alpha), ("beta", beta)):
            check_positive_number(name, value)
        check_finite_number("window", window, least=0)
        self.temperature = temperature
        self.window = window
        self.alpha = alpha
        self.beta = beta
        self.projector = Projector(in_features, hidden_features, projection)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Loss of features (B, V, F) with targets (B, 1) over the batch of all processes."""
        rows = distributed.gather_rows(self.projector(features)).flatten(0, 1)
        labels = distributed.gather_rows(targets).repeat_interleave(features.shape[1], dim=0)[:, 0]
        generator = np.random.default_rng(distributed.common_seed())
        drawn = generator.beta(self.alpha, self.beta, size=(len(rows), len(rows)))
        mixing = torch.from_numpy(drawn).to(rows.device, torch.float32)
        loss = supremix_loss(
            rows,
            labels,
            temperature=self.temperature,
            window=self.window,
            mixing=mixing,
            share=distributed.share(),
        )
        return distributed.sum_shares(loss)


def _mixed(first: Tensor, second: Tensor, between: Tensor, share: Tensor) -> Tensor:
    """Cosine of an anchor with share * u + (1 - share) * v, from the cosines between anchor, u and v."""
    square = share.square() + (1 - share).square() + 2 * share * (1 - share) * between
    return (share * first + (1 - share) * second) / square.clamp(min=1e-12).sqrt()


def _bands(y: Tensor, window: float, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """Indices (A, m) and (A, n) of rows below and above each anchor in the window, padded with -1. `y` is sorted."""
    mine = y[anchors].contiguous()
    low, equal = torch.searchsorted(y, mine - window), torch.searchsorted(y, mine)
    beyond, high = torch.searchsorted(y, mine, right=True), torch.searchsorted(y, mine + window, right=True)
    return _ranges(low, equal), _ranges(beyond, high)


def _ranges(start: Tensor, end: Tensor) -> Tensor:
    width = int((end - start).max()) if len(start) else 0
    index = start[:, None] + torch.arange(width, device=start.device)
    return torch.where(index < end[:, None], index, -1)


def _with_positives(y: Tensor, window: float) -> Tensor:
    """Which rows have another row with their label, or rows below and above in the window. `y` is sorted."""
    below, above = _bands(y, window, torch.arange(len(y), device=y.device))
    twins = torch.searchsorted(y, y, right=True) - torch.searchsorted(y, y) > 1
    return twins | ((below >= 0).any(dim=1) & (above >= 0).any(dim=1))


def _mix_positives(
    cosine: Tensor, y: Tensor, anchors: Tensor, below: Tensor, above: Tensor, temperature: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Log of the sum of exponentials, sum and number of the mix-positives of each anchor."""
    real = (below >= 0)[:, :, None] & (above >= 0)[:, None, :]
    low, high = below.clamp(min=0), above.clamp(min=0)
    span = y[high][:, None, :] - y[low][:, :, None]
    share = ((y[high] - y[anchors, None])[:, None, :] / torch.where(real, span, 1)).to(cosine.dtype)
    first = cosine[anchors[:, None], low][:, :, None]
    second = cosine[anchors[:, None], high][:, None, :]
    between = cosine.detach()[low[:, :, None], high[:, None, :]]
    logits = torch.where(real, _mixed(first, second, between, share) / temperature, -math.inf).flatten(1)
    filled = torch.where(real.flatten(1), logits, 0)
    if not logits.shape[1]:
        logits = cosine.new_full((len(anchors), 1), -math.inf)
    count = real.flatten(1).sum(dim=1)
    empty = count == 0
    safe = torch.where(empty[:, None], 0.0, logits).logsumexp(dim=1)  # avoids NaN gradients where all are -inf
    return torch.where(empty, -math.inf, safe), filled.sum(dim=1), count
