"""The projector of contrastive objectives: it is trained with the encoder and dropped afterwards."""

from torch import Tensor, nn

from rnc_lightning.numerics.checks import check_whole_number


class Projector(nn.Module):
    """Two linear layers with a ReLU between them.

    Args:
        in_features: Width F of the features.
        hidden_features: Width of the hidden layer; None for F.
        out_features: Width P of the projections.

    Raises:
        ValueError: If a width is below 1.

    >>> import torch
    >>> Projector(512)(torch.zeros(2, 3, 512)).shape
    torch.Size([2, 3, 128])
    """

    def __init__(self, in_features: int, hidden_features: int | None = None, out_features: int = 128) -> None:
        super().__init__()
        hidden = in_features if hidden_features is None else hidden_features
        for name, width in (("in_features", in_features), ("hidden_features", hidden), ("projection", out_features)):
            check_whole_number(name, width, least=1)
        self.layers = nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, out_features))

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., F) to projections (..., P), not normalised."""
        return self.layers(features)
