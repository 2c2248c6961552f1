"""An encoder without batch normalisation, so that processes have nothing to agree on but gradients."""

from torch import Tensor, nn


class PlainEncoder(nn.Module):
    """Two layers on 16 x 16 pixels."""

    num_features = 8

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(256, 16), nn.Tanh(), nn.Linear(16, 8))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
