"""A residual network for signals."""

from collections.abc import Sequence

from torch import Tensor, nn

from rnc_lightning.numerics.checks import check_whole_number


class ResNet1d(nn.Module):
    """ResNet with convolutions over time, followed by the mean over time.

    By default it has 24 layers, counted as for ResNet-18: the convolution of the stem (1), two convolutions in each of
    3 + 3 + 3 + 2 = 11 blocks (22), and the linear layer after the features (1), which is in the head here. Shortcut
    convolutions are not counted. The paper only gives the number of layers; the number of blocks per stage, the width
    and the kernel length are our choice.

    The features are means of ReLU outputs, as in the ResNets of the paper, without projection or normalisation.

    Args:
        in_channels: Channels of the signal.
        width: Channels of the first stage, doubled in each later stage.
        blocks: Number of residual blocks in each stage; every stage after the first halves the resolution.
        kernel: Length of the convolutions in the blocks, odd; the stem uses twice that plus one.

    Raises:
        ValueError: If an argument is out of range.

    Shapes:
        (B, in_channels, T) to (B, num_features).

    >>> import torch
    >>> encoder = ResNet1d(in_channels=21, width=8)
    >>> encoder(torch.zeros(2, 21, 400)).shape, encoder.num_features, encoder.layers
    (torch.Size([2, 64]), 64, 24)
    """

    def __init__(
        self, in_channels: int, width: int = 64, blocks: Sequence[int] = (3, 3, 3, 2), kernel: int = 7
    ) -> None:
        super().__init__()
        for name, value in (("in_channels", in_channels), ("width", width), ("kernel", kernel)):
            check_whole_number(name, value, least=1)
        if not blocks or min(blocks) < 1:
            raise ValueError(f"blocks must be one or more whole numbers from 1 up, got {list(blocks)}")
        if kernel % 2 == 0:
            raise ValueError(f"kernel must be odd, got {kernel}")
        self.stem = nn.Sequential(
            nn.Conv1d(in_channels, width, 2 * kernel + 1, stride=2, padding=kernel, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(True),
            nn.MaxPool1d(3, stride=2, padding=1),
        )
        stages: list[nn.Module] = []
        inner = width
        for i, count in enumerate(blocks):
            outer = width * 2**i
            stages.append(_Block(inner, outer, kernel, stride=1 if i == 0 else 2))
            stages += [_Block(outer, outer, kernel) for _ in range(count - 1)]
            inner = outer
        self.blocks = nn.Sequential(*stages)
        self.num_features = inner
        self.layers = 2 + 2 * sum(blocks)
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Signals (B, C, T) to features (B, F)."""
        return self.blocks(self.stem(x)).mean(dim=2)


class _Block(nn.Module):
    def __init__(self, inner: int, outer: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv1d(inner, outer, kernel, stride=stride, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(outer),
            nn.ReLU(True),
            nn.Conv1d(outer, outer, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(outer),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inner != outer:
            self.shortcut = nn.Sequential(nn.Conv1d(inner, outer, 1, stride=stride, bias=False), nn.BatchNorm1d(outer))
        self.activation = nn.ReLU(True)

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.residual(x) + self.shortcut(x))
