"""Data sets as a user might write them: one can also be predicted from files, the other does no more than it must."""

import numpy as np
import torch
from torch import Tensor

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import PARTS, Split, SplitName
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, blank_split, list_files


class Bare(RegressionDataModule):
    """Noise of a brightness, which is the target, in 12 x 10 pixels."""

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        generator = torch.Generator().manual_seed(0)
        splits: dict[SplitName, Split] = {}
        for part in PARTS:
            target = torch.rand(24, 1, generator=generator)
            pixels = 255 * target[:, :, None, None] * torch.rand(24, 1, 12, 10, generator=generator)
            splits[part] = Split(pixels.to(torch.uint8), target, [f"{part}-{i}" for i in range(24)])
        return splits


class Told(Bare):
    """The same, which can be predicted from files."""

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        files = list_files(inputs, (".npy",), "path", problems)
        pixels = torch.stack([torch.from_numpy(np.load(path)) for path in files.paths])
        return Unlabelled(files.columns, [blank_split(pixels)])


def halved(pixels: Tensor) -> Tensor:
    """A transform that says nothing of itself."""
    return pixels / 127.5


def transform() -> object:
    """It, as a `_target_` that makes it."""
    return halved
