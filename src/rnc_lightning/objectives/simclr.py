"""SimCLR: pull the views of a sample together and push all others away (NT-Xent); labels are not used.

T. Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020.
"""

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_positive_number
from rnc_lightning.objectives.projection import Projector
from rnc_lightning.objectives.supcon import supcon_loss
from rnc_lightning.targets import TargetSpec


def nt_xent_loss(projections: Tensor, *, temperature: float = 0.5, share: tuple[int, int] = (0, 1)) -> Tensor:
    """NT-Xent: SupCon in which each sample is its own class.

    With more than two views it is the mean over the other views of a sample, each compared with all rows.

    Args:
        projections: (B, V, P), V >= 2 views of each sample; they are normalised here.
        temperature: tau > 0.
        share: As in `supcon_loss`.

    Returns:
        The loss, a scalar.

    Raises:
        ValueError: If there are fewer than two views, or as in `supcon_loss`.

    >>> views = torch.eye(2)[:, None].expand(2, 2, 2)  # two samples, orthogonal, each with two equal views
    >>> round(nt_xent_loss(views, temperature=1.0).item(), 6)
    0.551445
    """
    if projections.dim() == 3 and projections.shape[1] < 2:
        raise ValueError(f"NT-Xent needs two views of each sample, got {projections.shape[1]} (recipe.*.views)")
    samples = torch.arange(len(projections), device=projections.device)
    return supcon_loss(projections, samples, temperature=temperature, share=share)


class SimCLR(nn.Module):
    """NT-Xent on projections.

    Args:
        in_features: Width F of the features.
        target: Not used.
        temperature: tau > 0.
        hidden_features: Width of the projector's hidden layer; None for F.
        projection: Width of the projections.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        in_features: int,
        target: TargetSpec | None = None,
        temperature: float = 0.5,
        hidden_features: int | None = None,
        projection: int = 128,
    ) -> None:
        super().__init__()
        check_positive_number("temperature", temperature)
        self.temperature = temperature
        self.projector = Projector(in_features, hidden_features, projection)

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Loss of features (B, V, F) over the batch of all processes; the targets (B, D) are not used."""
        projections = distributed.gather_rows(self.projector(features))
        loss = nt_xent_loss(projections, temperature=self.temperature, share=distributed.share())
        return distributed.sum_shares(loss)
