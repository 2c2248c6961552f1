"""A small residual network for images of about 32 x 32 pixels, fast on a CPU."""

from itertools import pairwise

from torch import Tensor, nn

from rnc_lightning.numerics.checks import check_whole_number


class SmallResNet(nn.Module):
    """One residual block per resolution, followed by the mean over space.

    The features are means of ReLU outputs, as in the ResNets of the paper, without projection or normalisation.

    Args:
        in_channels: Channels of the image.
        width: Channels of the first stage; doubled in each later stage.
        stages: Number of resolutions.

    Shapes:
        (B, in_channels, H, W) to (B, num_features).

    >>> import torch
    >>> SmallResNet(in_channels=1)(torch.zeros(2, 1, 32, 32)).shape
    torch.Size([2, 128])
    """

    def __init__(self, in_channels: int = 1, width: int = 16, stages: int = 4) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("width", width), ("stages", stages)):
            check_whole_number(name, value, least=1)
        widths = [width * 2**i for i in range(stages)]
        self.stem = nn.Sequential(_conv(in_channels, width, stride=2), nn.BatchNorm2d(width), nn.ReLU(True))
        blocks = [_Block(width, width, stride=1)]
        blocks += [_Block(a, b, stride=2) for a, b in pairwise(widths)]
        self.blocks = nn.Sequential(*blocks)
        self.num_features = widths[-1]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to features (B, F)."""
        return self.blocks(self.stem(x)).mean(dim=(2, 3))


class _Block(nn.Module):
    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            _conv(inner, outer, stride=stride),
            nn.BatchNorm2d(outer),
            nn.ReLU(True),
            _conv(outer, outer),
            nn.BatchNorm2d(outer),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inner != outer:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1, stride=stride, bias=False), nn.BatchNorm2d(outer))
        self.activation = nn.ReLU(True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.residual(x) + self.shortcut(x))


def _conv(inner: int, outer: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inner, outer, 3, stride=stride, padding=1, bias=False)
