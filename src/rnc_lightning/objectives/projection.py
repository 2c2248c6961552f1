"""The projector of contrastive objectives: it learns beside the encoder and is dropped afterwards."""

from torch import Tensor, nn


class Projector(nn.Module):
    """Two linear layers with a ReLU between them.

    Args:
        in_features: Width F of the features.
        hidden_features: Width of the layer between; None for F.
        out_features: Width P of the projections.

    Raises:
        ValueError: For a width below 1.

    >>> import torch
    >>> Projector(512)(torch.zeros(2, 3, 512)).shape
    torch.Size([2, 3, 128])
    """

    def __init__(self, in_features: int, hidden_features: int | None = None, out_features: int = 128) -> None:
        super().__init__()
        hidden = in_features if hidden_features is None else hidden_features
        if min(in_features, hidden, out_features) < 1:
            raise ValueError(f"widths must be 1 or more, got {in_features}, {hidden} and {out_features}")
        self.layers = nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, out_features))

    def forward(self, features: Tensor) -> Tensor:
        """Features (..., F) to projections (..., P), not normalised."""
        return self.layers(features)
