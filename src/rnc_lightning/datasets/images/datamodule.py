"""The base of image data sets, and your own images without labels."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from rnc_lightning.datasets.images.decoding import PixelFiles
from rnc_lightning.datasets.images.files import ORDINARY, ImageFiles, open_rgb
from rnc_lightning.datasets.images.reading import ImageReading, read_options
from rnc_lightning.datasets.images.wide import UsedRange, find_used_range
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.file_check import CheckedFiles, find_unreadable
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.transform import Description
from rnc_lightning.datasets.unlabelled import Unlabelled, UserFiles, UserInputs, blank_split, list_files
from rnc_lightning.system.errors import UserError

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


log = logging.getLogger(__name__)


class ImagesDataModule(RegressionDataModule):
    """A data set of images of any size; a subclass implements `read`.

    Args:
        background: Colour behind transparent pixels: a name or RGB from 0 to 255.
        exif_orientation: Whether images are turned as their orientation tag says.
        image_range: Lowest and highest value of the images, which become 0 and 255. Null: images of 8 bits are read as
            they are, and if training images have 16, the range that they use applies to every such image.
        **loading: Arguments of `RegressionDataModule`.

    Raises:
        ValueError: For an invalid colour or range.
    """

    input = "path"  # a table's column of paths

    def __init__(
        self,
        *,
        background: str | Sequence[int] = "white",
        exif_orientation: bool = False,
        image_range: Sequence[float] | None = None,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        self._options = read_options(background, exif_orientation, image_range)

    @property
    def reading(self) -> ImageReading:
        """How image files are read, with the range that was found in training."""
        found = self.preparation or {}
        if self._options.image_range is not None or "image_range" not in found:
            return self._options
        low, high = found["image_range"]
        return replace(self._options, image_range=(low, high), found=True, eight_bits=bool(found["images_of_8_bits"]))

    def prepare(self, splits: dict[SplitName, Split]) -> dict[SplitName, Split]:
        """Let every split read its files in the same way, with the range that the training images use."""
        if not all(isinstance(split.inputs, ImageFiles) for split in splits.values()):
            if self._options != ORDINARY:
                raise UserError(
                    f"{self.title}: data.background, data.exif_orientation and data.image_range apply to data sets of "
                    "one image file each, which this one is not: leave them out"
                )
            return splits
        if self._options.image_range is None:
            used = find_used_range(getattr(splits["train"].inputs, "paths", ()), self.cache_dir)
            if used is not None:
                self.preparation = {
                    **(self.preparation or {}),
                    "image_range": [0, used.high],
                    "images_of_8_bits": used.eight > 0,
                }
                _log_range(used, self.title)
        reading = self.reading
        return {part: replace(split, inputs=split.inputs.read_as(reading)) for part, split in splits.items()}  # type: ignore[attr-defined]

    def describe_input(self) -> Description | None:
        """What the transform does, and how files are read before it."""
        described = super().describe_input()
        if described is None:
            return None
        reading = self.reading.describe()
        return Description({**described.facts, **reading.facts}, f"{described.words} {reading.words}")

    def example_input(self) -> Any:
        """A black image."""
        return Image.new("RGB", (64, 64))

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Image files, decoded as in the test."""
        files = find_usable_images(inputs, self.input, problems, self.reading)
        return Unlabelled(files.columns, [blank_split(PixelFiles(ImageFiles(files.paths, reading=self.reading)))])


def _log_range(used: UsedRange, title: str) -> None:
    log.info(
        "%s: %d training images have 16 bits per channel and values up to %d: 0 to %d becomes 0 to 255 in every such "
        "image; data.image_range sets another range",
        *(title, used.sixteen, used.high, used.high),
    )
    if used.eight:
        log.warning(
            "%s: the bit depths of the training images differ: %d have 16 bits, of which 0 to %d becomes 0 to 255, and "
            "%d have 8, which stay as they are",
            *(title, used.sixteen, used.high, used.eight),
        )
    if used.few_levels:
        log.warning(
            "%s: nearly all values of the images of 16 bits are between %d and %d, and 0 to %d becomes 0 to 255, so "
            "that few grey levels remain: data.image_range=[%d, %d] uses them all",
            *(title, used.low_used, used.high_used, used.high, used.low_used, used.high_used),
        )


def find_usable_images(
    inputs: UserInputs, column: str, problems: Problems, reading: ImageReading = ORDINARY
) -> UserFiles:
    """The image files that can be decoded.

    Args:
        inputs: Where the files are.
        column: A table's column of paths if `inputs` does not name one.
        problems: Receives the files that cannot be decoded.
        reading: How the files are read.
    """
    files = list_files(inputs, SUFFIXES, column, problems)
    bad = find_unreadable(cast(CheckedFiles, ImageFiles(files.paths, reading=reading)), what="images")
    return files.without(bad, "unreadable file", problems)


class GreyImages:
    """Image files like the digits: grey, cropped to the centre, (1, size, size) uint8.

    Args:
        paths: The files.
        size: Side in pixels.
        reading: How the files are read.
    """

    def __init__(self, paths: Sequence[Path], size: int, reading: ImageReading = ORDINARY) -> None:
        self.paths = list(paths)
        self.reading = reading
        self._crop = v2.Compose([v2.Resize(size), v2.CenterCrop(size)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        image = self._crop(open_rgb(self.paths[index], self.reading).convert("L"))
        return torch.from_numpy(np.array(image))[None]
