"""Where a data set's images come from once it has been read: files decoded each time, or a cache of decoded ones."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rnc_lightning.datasets.images.cache import cached_images
from rnc_lightning.datasets.images.decoding import PixelFiles
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.system.errors import UserError


def decoded_fast(splits: Mapping[SplitName, Split]) -> dict[SplitName, Split]:
    """The same splits; where inputs are image files, read by the faster decoder, whose pixels are the same."""
    return {
        part: replace(split, inputs=PixelFiles(split.inputs)) if isinstance(split.inputs, ImageFiles) else split
        for part, split in splits.items()
    }


def decoded_once(splits: Mapping[SplitName, Split], directory: Path, side: int | None = None) -> dict[SplitName, Split]:
    """The same splits, their images decoded into one cache, which runs with another division of the images share.

    Args:
        splits: All inputs are image files.
        directory: Where caches are kept.
        side: Images whose shorter side is longer are scaled down to it, which changes what crops are made of; None
            keeps every pixel.

    Raises:
        UserError: Where inputs are no image files, or the disk has too little room.
    """
    files: dict[SplitName, ImageFiles] = {}
    for part, split in splits.items():
        if not isinstance(split.inputs, ImageFiles):
            raise UserError("data.cache=true: these inputs are no whole image files; set data.cache=false")
        files[part] = split.inputs
    paths = sorted({path for inputs in files.values() for path in inputs.paths})
    place = {path: i for i, path in enumerate(paths)}
    cache = cached_images(ImageFiles(paths), directory, side)
    return {
        part: replace(split, inputs=cache.take([place[path] for path in files[part].paths]))
        for part, split in splits.items()
    }
