"""Groups of samples that get one prediction, such as the windows of a recording."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Groups:
    """Which samples belong together, such as the windows of one recording: each group gets one prediction.

    Attributes:
        index: (N,) int64, the group of each sample, from 0 up.
        names: A readable name of each group, for predictions.csv.
    """

    index: Tensor
    names: Sequence[str]

    def __post_init__(self) -> None:
        if self.index.ndim != 1 or self.index.dtype != torch.int64:
            raise ValueError(f"groups: index must be (N,) int64, got {tuple(self.index.shape)} {self.index.dtype}")
        if len(self.index) and not 0 <= int(self.index.min()) <= int(self.index.max()) < len(self.names):
            raise ValueError(f"groups: {len(self.names)} names for indices up to {int(self.index.max())}")


def group_means(values: Tensor, groups: Groups, index: Tensor | None = None) -> Tensor:
    """Mean of values (N, F) over the samples of each group: (G, F). A group without samples is NaN.

    Args:
        values: One row per sample.
        groups: Which samples belong together.
        index: (N,) the sample of each row; None when the rows are all samples in order.

    >>> groups = Groups(torch.tensor([0, 0, 1]), ["a", "b"])
    >>> group_means(torch.tensor([[1.0], [3.0], [5.0]]), groups)
    tensor([[2.],
            [5.]])
    """
    group = (groups.index if index is None else groups.index[index.cpu()]).to(values.device)
    sums = torch.zeros(len(groups.names), values.shape[1], dtype=torch.float64, device=values.device)
    sums.index_add_(0, group, values.double())
    counts = torch.bincount(group, minlength=len(groups.names))
    return (sums / counts[:, None]).to(values.dtype)
