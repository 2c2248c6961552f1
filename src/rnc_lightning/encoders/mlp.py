"""A multilayer perceptron for tabular features."""

from itertools import pairwise

from torch import Tensor, nn

from rnc_lightning.numerics.checks import check_whole_number


class MLP(nn.Module):
    """Linear layers, each followed by batch normalisation and ReLU.

    Args:
        in_features: Number of inputs.
        width: Outputs of each layer.
        depth: Number of layers.

    Shapes:
        (B, in_features) to (B, num_features).

    >>> import torch
    >>> MLP(in_features=10, width=32)(torch.zeros(4, 10)).shape
    torch.Size([4, 32])
    """

    def __init__(self, in_features: int, width: int = 128, depth: int = 2) -> None:
        super().__init__()
        for name, value in (("in_features", in_features), ("width", width), ("depth", depth)):
            check_whole_number(name, value, least=1)
        widths = [in_features, *[width] * depth]
        self.layers = nn.Sequential(*[_layer(inner, outer) for inner, outer in pairwise(widths)])
        self.num_features = width
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Inputs (B, in_features) to features (B, F)."""
        return self.layers(x)


def _layer(inner: int, outer: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inner, outer, bias=False), nn.BatchNorm1d(outer), nn.ReLU(True))
