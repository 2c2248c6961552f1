"""Samples to batches: augmented views drawn under a seed of their own."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rnc_lightning.data.sampling import Draw
from rnc_lightning.data.splits import Split
from rnc_lightning.seeding import seeded

Transform = Callable[[Any], Tensor]


class ViewsDataset(Dataset[dict[str, Any]]):
    """A split as samples `x` (C, ...) or (V, C, ...), `y` (D,) and `index`.

    Args:
        split: Inputs and targets.
        transform: Raw input to tensor; random when it augments.
        views: Number of views, stacked on a first axis; None for one without that axis.
    """

    def __init__(self, split: Split, transform: Transform, views: int | None = None) -> None:
        if views is not None and views < 1:
            raise ValueError(f"views must be at least 1 or null, got {views}")
        self.split = split
        self.transform = transform
        self.views = views

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        index, seed = draw if isinstance(draw, Draw) else (draw, None)
        source = self.split.inputs[index]
        if seed is None:
            x = self._transform(source)
        else:
            with seeded(seed):
                x = self._transform(source)
        return {"x": x, "y": self.split.targets[index], "index": index}

    def _transform(self, source: Any) -> Tensor:
        if self.views is None:
            return self.transform(source)
        return torch.stack([self.transform(source) for _ in range(self.views)])
