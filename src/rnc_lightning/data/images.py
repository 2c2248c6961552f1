"""Image files as inputs: opened when asked for, refused where opening them would be unwise."""

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from rnc_lightning.errors import UserError

MOST_PIXELS = 100_000_000  # a picture of more is taken for a decompression bomb: 300 MB once decoded


class ImageFiles:
    """Image files, decoded to RGB when asked for.

    Args:
        paths: One file a sample.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = list(paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            return open_rgb(path)
        except ValueError as error:
            raise UserError(f"{path} cannot be read as an image ({error}): replace it") from error

    def problem(self, index: int) -> str | None:
        """What is wrong with a file, found by decoding all of it; None where nothing is."""
        try:
            open_rgb(self.paths[index])
        except ValueError as error:
            return str(error)
        return None

    def take(self, indices: Sequence[int]) -> "ImageFiles":
        """Some of the files, in the order given."""
        return ImageFiles([self.paths[i] for i in indices])


def open_rgb(path: Path) -> Image.Image:
    """Decode an image to RGB.

    Raises:
        ValueError: Where it is missing, unreadable, cut short, or has more than `MOST_PIXELS` pixels, which is seen
            from its header, before memory is taken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is told below
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels, a decompression bomb")
                return image.convert("RGB")
    except Image.DecompressionBombError as error:
        raise ValueError("so many pixels that it is a decompression bomb") from error
    except (OSError, SyntaxError, EOFError) as error:  # Pillow's readers raise all three for broken files
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error
