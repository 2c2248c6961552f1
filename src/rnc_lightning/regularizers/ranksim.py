"""RankSim: the ranking of samples by feature similarity should match the ranking by label similarity.

Y. Gong, G. Mori, F. Tung, RankSim, ICML 2022; its gradient of ranks is that of M. Vlastelica et al., Differentiation
of Blackbox Combinatorial Solvers, ICLR 2020. With unit features z, S = z z^T and rk the descending rank over n (the
largest has 1/n),

    L = sum_i mean_j (rk(S_i)_j - rk(-d_i)_j)^2

over samples with distinct labels.
"""

from typing import Any

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_positive_number
from rnc_lightning.numerics.precision import products, unit_rows
from rnc_lightning.targets.distances import TargetDistance, resolve_target_distance


def descending_ranks(values: Tensor) -> Tensor:
    """Ranks of the entries of each row (..., n); the largest entry gets 1/n, and ties rank in order of position.

    >>> descending_ranks(torch.tensor([0.1, 0.5, 0.3]))
    tensor([1.0000, 0.3333, 0.6667])
    """
    order = values.argsort(dim=-1, descending=True, stable=True)
    places = torch.arange(1, values.shape[-1] + 1, device=values.device).expand_as(order)
    return torch.empty_like(order).scatter_(-1, order, places).to(values.dtype) / values.shape[-1]


def ranksim_loss(
    features: Tensor, targets: Tensor, *, interpolation: float = 2.0, target_distance: str | TargetDistance = "l1"
) -> Tensor:
    """RankSim of samples with distinct labels.

    Args:
        features: (n, F). Half precision is computed in float32, even under autocast.
        targets: (n, D).
        interpolation: lambda > 0 of the gradient; larger is smoother.
        target_distance: Distance by which labels are ranked; see `rnc_lightning.targets.distances`.

    Returns:
        The loss, a scalar.

    >>> angles = torch.tensor([0.0, 0.1, 0.3, 0.7])
    >>> features = torch.stack([angles.cos(), angles.sin()], dim=1)
    >>> ranksim_loss(features, torch.tensor([[0.0], [1.0], [3.0], [7.0]]))
    tensor(0.)
    """
    z = unit_rows(features)
    ranks = _Ranks.apply(products(z, z), interpolation)
    labels = targets.detach().double()
    wanted = descending_ranks(-resolve_target_distance(target_distance)(labels, labels))
    return (ranks - wanted.to(ranks.dtype)).square().sum() / max(len(z), 1)


def draw_one_per_label(targets: Tensor, seed: int) -> Tensor:
    """Draw the index of one row per distinct label at random, in the order of the labels.

    Args:
        targets: (N, D); rows are the same label if all their numbers are equal.
        seed: Seed of the draw.
    """
    order = torch.randperm(len(targets), generator=torch.Generator().manual_seed(seed)).to(targets.device)
    _, label = torch.unique(targets[order], dim=0, return_inverse=True)
    first = label.argsort(stable=True)
    starts = torch.ones_like(label, dtype=torch.bool)
    starts[1:] = label[first][1:] != label[first][:-1]
    return order[first[starts]]


class RankSim(nn.Module):
    """RankSim as a regularizer, over the batch of all processes, with one sample drawn per distinct label.

    Args:
        interpolation: lambda > 0 of the gradient.
        target_distance: Distance by which labels are ranked, also for vector targets.

    Raises:
        ValueError: If the interpolation is not positive or the distance is unknown.
    """

    def __init__(self, interpolation: float = 2.0, target_distance: str | TargetDistance = "l1") -> None:
        super().__init__()
        check_positive_number("interpolation", interpolation)
        resolve_target_distance(target_distance)
        self.interpolation = interpolation
        self.target_distance = target_distance

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (B, V, F) with targets (B, D)."""
        rows = distributed.gather_rows(features).flatten(0, 1)
        labels = distributed.gather_rows(targets).repeat_interleave(features.shape[1], dim=0)
        chosen = draw_one_per_label(labels, distributed.common_seed())
        loss = ranksim_loss(
            rows[chosen], labels[chosen], interpolation=self.interpolation, target_distance=self.target_distance
        )
        return distributed.sum_shares(loss / distributed.world_size())  # every process computes all of it


class _Ranks(torch.autograd.Function):
    """Forward: ranks. Backward: the change of the ranks when the values take a step along the gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, interpolation: float) -> Tensor:
        ranks = descending_ranks(values)
        ctx.save_for_backward(values, ranks)
        ctx.interpolation = interpolation
        return ranks

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        values, ranks = ctx.saved_tensors
        moved = descending_ranks(values + ctx.interpolation * gradients[0])
        return (moved - ranks) / (ctx.interpolation + 1e-8), None
