"""Samples as augmented views, each sample with its own seed."""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.splits import Split
from rnc_lightning.datasets.transform import ImageTransform, Transform
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.seeding import preserve_generators, set_cpu_generators


class ViewsDataset(Dataset[dict[str, Any]]):
    """A split as samples `x` (C, ...) or (V, C, ...), `y` (D,) and `index`.

    Args:
        split: Inputs and targets.
        transform: Raw input to tensor; random when it augments.
        views: Number of views, stacked on a first axis; None for one view without that axis.
        on_device: Leave the colour changes and the conversion to float of an `ImageTransform` to the device: `x` is
            then uint8, and `colour` (9,) or (V, 9) holds the changes, if any, for `colour_on_device.finish_on_device`.
            Other transforms are not affected.
        local: A transform to smaller crops and their number: `x_local` (L, C, ...), and `colour_local` in addition to
            `colour`. They are drawn after the views, which do not change because of them.

    Raises:
        ValueError: For less than one view.
    """

    def __init__(
        self,
        split: Split,
        transform: Transform,
        views: int | None = None,
        on_device: bool = False,
        local: tuple[Transform, int] | None = None,
    ) -> None:
        if views is not None:
            check_whole_number("views", views, 1)
        self.split = split
        self.transform = transform
        self.views = views
        self.on_device = on_device
        self.local = local

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, draw: Draw | int) -> dict[str, Any]:
        return self.__getitems__([draw])[0]

    def __getitems__(self, draws: Sequence[Draw | int]) -> list[dict[str, Any]]:
        """All samples of a batch; saves the generators' states, which is slow, only once for all of them."""
        batch = [draw if isinstance(draw, Draw) else Draw(draw) for draw in draws]
        transforms = [self.transform] if self.local is None else [self.transform, self.local[0]]
        torch_only = all(isinstance(transform, ImageTransform) for transform in transforms)
        samples = []
        random = any(draw.seed is not None for draw in batch)
        with preserve_generators(torch_only) if random else nullcontext():
            for index, seed in batch:
                source = self.split.inputs[index]
                if seed is not None:
                    set_cpu_generators(seed, torch_only)
                samples.append({**self._views(source), "y": self.split.targets[index], "index": index})
        return samples

    def _views(self, source: Any) -> dict[str, Tensor]:
        sample = self._sample(source, self.transform, self.views)
        if self.local is not None:
            crops = self._sample(source, *self.local)
            sample |= {f"{key}_local": value for key, value in crops.items()}
        return sample

    def _sample(self, source: Any, transform: Transform, views: int | None) -> dict[str, Tensor]:
        if not isinstance(transform, ImageTransform):
            if views is None:
                return {"x": transform(source)}
            return {"x": torch.stack([transform(source) for _ in range(views)])}
        count = 1 if views is None else views
        if self.on_device:
            x, colour = transform.pixels(source, count)
            sample = {"x": x} if colour is None else {"x": x, "colour": colour}
        else:
            sample = {"x": transform.views(source, count)}
        return {key: value[0] for key, value in sample.items()} if views is None else sample
