"""SupCon: projections of one class close to each other and far from the rest; classes are bins of labels.

P. Khosla et al., Supervised Contrastive Learning, NeurIPS 2020. With unit vectors z, s_ij = z_i . z_j / tau and P(i)
the other rows of i's class,

    L = mean over anchors i of  log sum_{k != i} exp s_ik - mean_{p in P(i)} s_ip

(their L_out, without the factor T / T_base of the released code).
"""

import math

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.precision import products, unit_rows
from rnc_lightning.objectives.projection import Projector
from rnc_lightning.targets import TargetSpec


def supcon_loss(
    projections: Tensor, classes: Tensor, *, temperature: float = 0.1, share: tuple[int, int] = (0, 1)
) -> Tensor:
    """Supervised contrastive loss of a batch.

    Rows without another one of their class (only possible with a single view) are no anchors and do not count in the
    mean; they remain in the denominators of the others.

    Args:
        projections: (B, V, P), V views of each sample; of any length, since they are normalised. Half precision is
            computed in float32, whatever autocast says.
        classes: (B,), one a sample, whole numbers.
        temperature: tau > 0.
        share: (k, W) takes the anchors of the k-th of W shares, from 0 up, against all rows: the loss is the sum over
            the shares. For batches that are spread over processes.

    Returns:
        The loss, a scalar; 0 where there is no anchor.

    Raises:
        ValueError: For shapes that do not fit, or a temperature that is not positive.

    >>> z = torch.eye(3)[:, None]  # three orthogonal rows, of which two are of one class
    >>> round(supcon_loss(z, torch.tensor([0, 0, 1]), temperature=1.0).item(), 6)
    0.693147
    """
    check_temperature(temperature)
    if projections.dim() != 3 or classes.shape != projections.shape[:1]:
        raise ValueError(
            f"projections must be (B, V, P) and classes (B,), got {tuple(projections.shape)} and {tuple(classes.shape)}"
        )
    classes = classes.repeat_interleave(projections.shape[1])
    z = unit_rows(projections.flatten(0, 1))
    _, place, sizes = torch.unique(classes, return_inverse=True, return_counts=True)
    positives = sizes[place] - 1
    mine = torch.arange(len(z), device=z.device).tensor_split(share[1])[share[0]]
    anchors = mine[positives[mine] > 0]
    similarity = products(z[anchors], z) / temperature
    itself = anchors[:, None] == torch.arange(len(z), device=z.device)
    same = (classes[anchors, None] == classes) & ~itself
    closeness = (similarity * same).sum(dim=1) / positives[anchors]
    per_anchor = similarity.masked_fill(itself, -math.inf).logsumexp(dim=1) - closeness
    return per_anchor.sum() / (positives > 0).sum().clamp(min=1)


class SupCon(nn.Module):
    """SupCon on projections, with labels as classes: the bins of the target, of a vector target all combinations.

    Args:
        in_features: Width F of the features.
        target: What is regressed; its bins (`step`) are the classes.
        temperature: tau > 0.
        hidden_features: Width of the projector's middle layer; None for F.
        projection: Width of the projections.

    Raises:
        ValueError: For an argument out of its range, or a target whose range is open.
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
        check_temperature(temperature)
        _ = target.grids  # an open range is told now
        self.target = target
        self.temperature = temperature
        self.projector = Projector(in_features, hidden_features, projection)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (B, V, F) with targets (B, D), over the batch of all processes."""
        projections = distributed.gather_rows(self.projector(features))
        classes = self.target.classes(distributed.gather_rows(targets))
        loss = supcon_loss(projections, classes, temperature=self.temperature, share=distributed.share())
        return distributed.sum_shares(loss)


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not a positive number.

    Raises:
        ValueError: With the value.
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be a positive number, got {temperature}")
