"""SupCon: pull projections of the same class together and push the others away; classes are bins of labels.

P. Khosla et al., Supervised Contrastive Learning, NeurIPS 2020. With unit vectors z, s_ij = z_i . z_j / tau and P(i)
the other rows of i's class,

    L = mean over anchors i of  log sum_{k != i} exp s_ik - mean_{p in P(i)} s_ip

(L_out of the paper, without the factor T / T_base of the released code).
"""

import math

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_positive_number
from rnc_lightning.numerics.precision import products, unit_rows
from rnc_lightning.objectives.projection import Projector
from rnc_lightning.targets import TargetSpec


def supcon_loss(
    projections: Tensor, classes: Tensor, *, temperature: float = 0.1, share: tuple[int, int] = (0, 1)
) -> Tensor:
    """Supervised contrastive loss of a batch.

    Rows without another row of their class (only possible with a single view) are not anchors and do not count in the
    mean, but they are in the denominators of the others.

    Args:
        projections: (B, V, P), V views of each sample; they are normalised here. Half precision is computed in
            float32, even under autocast.
        classes: (B,), one integer per sample.
        temperature: tau > 0.
        share: (k, W) uses only the k-th of W shares of the anchors, counted from 0, with all rows as candidates: the
            loss is the sum over the shares. For batches that are spread over processes.

    Returns:
        The loss, a scalar; 0 without anchors.

    Raises:
        ValueError: If the shapes do not match or the temperature is not positive.

    >>> z = torch.eye(3)[:, None]  # three orthogonal rows, of which two are of one class
    >>> round(supcon_loss(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 6)
    0.693147
    """
    check_positive_number("temperature", temperature)
    if projections.dim() != 3 or classes.shape != projections.shape[:1]:
        raise ValueError(
            f"projections must be (B, V, P) and classes (B,), got {tuple(projections.shape)} and {tuple(classes.shape)}"
        )
    classes = classes.repeat_interleave(projections.shape[1])
    z = unit_rows(projections.flatten(0, 1))
    _, class_index, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
    positives = sizes[class_index] - 1
    mine = torch.arange(len(z), device=z.device).tensor_split(share[1])[share[0]]
    anchors = mine[positives[mine] > 0]
    similarity = products(z[anchors], z) / temperature
    itself = anchors[:, None] == torch.arange(len(z), device=z.device)
    same = (classes[anchors, None] == classes) & ~itself
    closeness = (similarity * same).sum(dim=1) / positives[anchors]
    per_anchor = similarity.masked_fill(itself, -math.inf).logsumexp(dim=1) - closeness
    return per_anchor.sum() / (positives > 0).sum().clamp(min=1)


class SupCon(nn.Module):
    """SupCon on projections. The classes are the bins of the target, for a vector target all their combinations.

    Args:
        in_features: Width F of the features.
        target: The target; its bins (`step`) are the classes.
        temperature: tau > 0.
        hidden_features: Width of the projector's hidden layer; None for F.
        projection: Width of the projections.

    Raises:
        ValueError: If an argument is out of range, or the range of the target is open.
    """

    def __init__(
        self,
        in_features: int,
        target: TargetSpec,
        temperature: float = 0.1,
        hidden_features: int | None = None,
        projection: int = 128,
    ) -> None:
        super().__init__()
        check_positive_number("temperature", temperature)
        _ = target.grids  # raises now if a range is open
        self.target = target
        self.temperature = temperature
        self.projector = Projector(in_features, hidden_features, projection)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Loss of features (B, V, F) with targets (B, D) over the batch of all processes."""
        projections = distributed.gather_rows(self.projector(features))
        classes = self.target.classes(distributed.gather_rows(targets))
        loss = supcon_loss(projections, classes, temperature=self.temperature, share=distributed.share())
        return distributed.sum_shares(loss)
