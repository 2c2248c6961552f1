"""The base of image data sets, and your own images without labels."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from rnc_lightning.datasets.images.decoding import PixelFiles
from rnc_lightning.datasets.images.files import ImageFiles, open_rgb
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.file_check import CheckedFiles, find_unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.unlabelled import Unlabelled, UserFiles, UserInputs, blank_split, list_files

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


class ImagesDataModule(RegressionDataModule):
    """A data set of colour images of any size; a subclass implements `read`."""

    input = "path"  # a table's column of paths

    def example_input(self) -> Any:
        """A black image."""
        return Image.new("RGB", (64, 64))

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Image files, decoded as in the test."""
        files = find_usable_images(inputs, self.input, problems)
        return Unlabelled(files.columns, [blank_split(PixelFiles(ImageFiles(files.paths)))])


def find_usable_images(inputs: UserInputs, column: str, problems: Problems) -> UserFiles:
    """The image files that can be decoded.

    Args:
        inputs: Where the files are.
        column: A table's column of paths if `inputs` does not name one.
        problems: Receives the files that cannot be decoded.
    """
    files = list_files(inputs, SUFFIXES, column, problems)
    bad = find_unreadable(cast(CheckedFiles, ImageFiles(files.paths)), what="images")
    return files.without(bad, "unreadable file", problems)


class GreyImages:
    """Image files like the digits: grey, cropped to the centre, (1, size, size) uint8.

    Args:
        paths: The files.
        size: Side in pixels.
    """

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths = list(paths)
        self._crop = v2.Compose([v2.Resize(size), v2.CenterCrop(size)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        image = self._crop(open_rgb(self.paths[index]).convert("L"))
        return torch.from_numpy(np.array(image))[None]
