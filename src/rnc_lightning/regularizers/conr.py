"""ConR: push apart samples whose predictions are similar but whose labels differ.

M. Keramati, L. Meng, R. D. Evans, ConR, ICLR 2024. With unit features, s_ij = z_i . z_j / tau, label distances d and
distances of predictions p, P(i) = {j != i : d_ij <= w} and N(i) = {j : d_ij > w and p_ij <= w},

    L_i = mean over j in P(i) of  log( sum_{P(i)} exp s_ik + sum_{N(i)} exp(e d_ik) exp s_ik ) - s_ij

and 0 where P(i) or N(i) is empty; the loss is the mean over all anchors i. That is the paper's formula.

In the released code the first sum runs over all k, and those outside P(i), the anchor and N(i) included, add 1 each.
With weights v of the samples (LDS), it also multiplies the sum over N(i), and L_i, by v_i.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_choice, check_positive_number
from rnc_lightning.numerics.precision import products, unit_rows
from rnc_lightning.targets.distances import TargetDistance, resolve_target_distance

Reading = Literal["paper", "released"]


def conr_loss(
    features: Tensor,
    targets: Tensor,
    predictions: Tensor,
    *,
    similar: float = 1.0,
    temperature: float = 0.07,
    push: float = 0.01,
    target_distance: str | TargetDistance = "l1",
    reading: Reading = "paper",
    weights: Tensor | None = None,
) -> Tensor:
    """ConR of a batch.

    Args:
        features: (N, F). Half precision is computed in float32, even under autocast.
        targets: (N, D).
        predictions: (N, D), in the targets' units; they take no gradient.
        similar: w, the distance up to which labels, or predictions, count as similar; in label units.
        temperature: tau > 0.
        push: e, how much the weight of a pair in N(i) grows with its label distance.
        target_distance: Distance of labels and of predictions; see `rnc_lightning.targets.distances`.
        reading: The formula of the `paper`, or that of the `released` code.
        weights: v (N,), positive, one factor per sample; None for ones.

    Returns:
        The loss, a scalar.

    >>> z, y = torch.eye(2).repeat_interleave(2, 0), torch.tensor([[0.0], [0.0], [5.0], [5.0]])
    >>> loss = conr_loss(z, y, torch.tensor([[1.0], [1.0], [1.5], [1.5]]), temperature=1.0)
    >>> round(loss.item(), 6)
    0.572945
    """
    z = unit_rows(features)
    distance = resolve_target_distance(target_distance)
    apart, predicted = (distance(rows, rows) for rows in (targets.detach().double(), predictions.detach().double()))
    itself = torch.eye(len(z), dtype=torch.bool, device=z.device)
    positive = (apart <= similar) & ~itself
    negative = (apart > similar) & (predicted <= similar)
    anchors = positive.any(dim=1) & negative.any(dim=1)
    if not anchors.any():
        return z.sum() * 0
    positive, negative = positive[anchors], negative[anchors]
    similarity = products(z[anchors], z) / temperature
    pushed = similarity + push * apart[anchors].to(similarity.dtype) * negative
    own = None if weights is None else weights.detach()[anchors].to(similarity)
    if own is not None:
        pushed = pushed + own.log()[:, None] * negative
    terms = pushed.masked_fill(~(positive | negative), -math.inf)
    if reading == "released":
        ones = len(z) - positive.sum(dim=1, keepdim=True)
        terms = torch.cat([terms, ones.to(terms).log()], dim=1)
    closeness = (similarity * positive).sum(dim=1) / positive.sum(dim=1)
    losses = terms.logsumexp(dim=1) - closeness
    return (losses if own is None else own * losses).sum() / len(z)


class ConR(nn.Module):
    """ConR as a regularizer, over all views and the batch of all processes; see `conr_loss` for the arguments.

    With `reading="released"` the samples have the weights of the run's `weighting`, if it has one.

    Raises:
        ValueError: If `similar` or the temperature is not positive, or the distance or the reading is unknown.
    """

    needs_predictions = True

    def __init__(
        self,
        similar: float = 1.0,
        temperature: float = 0.07,
        push: float = 0.01,
        target_distance: str | TargetDistance = "l1",
        reading: Reading = "paper",
    ) -> None:
        super().__init__()
        check_positive_number("similar", similar)
        check_positive_number("temperature", temperature)
        resolve_target_distance(target_distance)
        check_choice("reading", reading, ("paper", "released"))
        self.reading: Reading = reading
        self.needs_weights = reading == "released"
        self.similar = similar
        self.temperature = temperature
        self.push = push
        self.target_distance = target_distance

    def forward(self, features: Tensor, targets: Tensor, predictions: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss of features (B, V, F), targets (B, D), predictions (B, V, D) and, if any, sample weights (B,)."""
        views = features.shape[1]
        loss = conr_loss(
            distributed.gather_rows(features).flatten(0, 1),
            distributed.gather_rows(targets).repeat_interleave(views, dim=0),
            distributed.gather_rows(predictions.detach()).flatten(0, 1),
            similar=self.similar,
            temperature=self.temperature,
            push=self.push,
            target_distance=self.target_distance,
            reading=self.reading,
            weights=None if weights is None else distributed.gather_rows(weights).repeat_interleave(views),
        )
        return distributed.sum_shares(loss / distributed.world_size())  # every process computes all of it
