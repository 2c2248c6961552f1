"""Ordinal Entropy: spread features by label distance and pull those of the same label together.

S. Zhang et al., Improving Deep Regression with Ordinal Entropy, ICLR 2023. With c_a the mean feature of label a, scaled
to length 1, and w_ab = (d_ab - min d) / max d over pairs of labels,

    L = tightness_weight * mean_i |z_i - c(i)|  -  diversity_weight * mean_{a < b} w_ab |c_a - c_b|

where the z are unit features and the first mean is over those that differ from their centre.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_finite_number
from rnc_lightning.numerics.precision import at_least_float32, unit_rows
from rnc_lightning.targets.distances import TargetDistance, resolve_target_distance

_LEAST = 1e-12  # smallest squared distance, so that the gradient of the square root is finite


def ordinal_entropy_terms(
    features: Tensor, targets: Tensor, *, target_distance: str | TargetDistance = "l2"
) -> tuple[Tensor, Tensor]:
    """Diversity and tightness of a batch; a term is 0 if there is nothing to compare.

    Args:
        features: (N, F). Half precision is computed in float32, even under autocast.
        targets: (N, D); rows are the same label if all their numbers are equal.
        target_distance: Distance that weights pairs of labels; see `rnc_lightning.targets.distances`.

    Returns:
        Diversity, -mean w_ab |c_a - c_b|, and tightness, both scalars.

    >>> z, y = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]), torch.tensor([[0.0], [1.0], [3.0]])
    >>> ordinal_entropy_terms(z, y)
    (tensor(-0.6016), tensor(0.))
    """
    features = at_least_float32(features)
    labels, label = torch.unique(targets.detach(), dim=0, return_inverse=True)
    sums = features.new_zeros(len(labels), features.shape[1]).index_add(0, label, features)
    centres = F.normalize(sums / label.bincount(minlength=len(labels))[:, None], dim=1)
    return _diversity(centres, labels, target_distance), _tightness(unit_rows(features), centres[label])


class OrdinalEntropy(nn.Module):
    """Ordinal Entropy as a regularizer, over the batch of all processes.

    Args:
        diversity_weight: Factor of the diversity term.
        tightness_weight: Factor of the tightness term, which has no effect if all labels differ.
        target_distance: Distance that weights pairs of labels.

    Raises:
        ValueError: If a weight is negative or the distance is unknown.
    """

    def __init__(
        self,
        diversity_weight: float = 1.0,
        tightness_weight: float = 1.0,
        target_distance: str | TargetDistance = "l2",
    ) -> None:
        super().__init__()
        check_finite_number("diversity_weight", diversity_weight, least=0)
        check_finite_number("tightness_weight", tightness_weight, least=0)
        resolve_target_distance(target_distance)
        self.diversity_weight = diversity_weight
        self.tightness_weight = tightness_weight
        self.target_distance = target_distance

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (B, V, F) with targets (B, D)."""
        rows = distributed.gather_rows(features).flatten(0, 1)
        labels = distributed.gather_rows(targets).repeat_interleave(features.shape[1], dim=0)
        diversity, tightness = ordinal_entropy_terms(rows, labels, target_distance=self.target_distance)
        loss = self.diversity_weight * diversity + self.tightness_weight * tightness
        return distributed.sum_shares(loss / distributed.world_size())  # every process computes all of it


def _diversity(centres: Tensor, labels: Tensor, target_distance: str | TargetDistance) -> Tensor:
    first, second = torch.triu_indices(len(labels), len(labels), offset=1, device=centres.device)
    numbers = labels.double()
    apart = resolve_target_distance(target_distance)(numbers, numbers)[first, second].to(centres.dtype)
    if not len(apart):
        return centres.sum() * 0
    weight = (apart - apart.min()) / apart.max()
    return -(weight * _length(centres[first] - centres[second])).mean()


def _tightness(rows: Tensor, centres: Tensor) -> Tensor:
    off = rows - centres
    off = off[off.detach().square().sum(dim=1) > _LEAST]  # rounding errors are about 1e-14
    return _length(off).mean() if len(off) else rows.sum() * 0


def _length(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1).clamp(min=_LEAST).sqrt()
