"""Where the pixels of a data set come from: files decoded at each access, or a cache of decoded images."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rnc_lightning.datasets.images.cache import cached_images
from rnc_lightning.datasets.images.decoding import PixelFiles
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.reading.content import FileContents
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.system.errors import UserError


def decode_on_access(splits: Mapping[SplitName, Split]) -> dict[SplitName, Split]:
    """The same splits, with image files read by the faster decoder, which yields the same pixels."""
    return {
        part: replace(split, inputs=PixelFiles(split.inputs)) if isinstance(split.inputs, ImageFiles) else split
        for part, split in splits.items()
    }


def decode_into_cache(
    splits: Mapping[SplitName, Split], directory: Path, side: int | None = None, contents: FileContents | None = None
) -> dict[SplitName, Split]:
    """The same splits, with all images decoded into one cache. Runs that split the same images differently share it.

    Args:
        splits: All inputs are image files.
        directory: Folder of the caches.
        side: Images with a longer shorter side are scaled down to it, which changes the crops; None keeps every pixel.
        contents: Hashes of the files; None: computed here.

    Raises:
        UserError: If inputs are not image files, or there is too little disk space.
    """
    files: dict[SplitName, ImageFiles] = {}
    for part, split in splits.items():
        if not isinstance(split.inputs, ImageFiles):
            raise UserError("data.cache=true: these inputs are not one image file each; set data.cache=false")
        files[part] = split.inputs
    paths = sorted({path for inputs in files.values() for path in inputs.paths})
    position = {path: i for i, path in enumerate(paths)}
    reading = next(iter(files.values())).reading
    cache = cached_images(ImageFiles(paths, reading=reading), directory, side, contents=contents)
    return {
        part: replace(split, inputs=cache.take([position[path] for path in files[part].paths]))
        for part, split in splits.items()
    }
