"""Image files as inputs: opened when asked for, refused where opening them would be unwise."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rnc_lightning.system.errors import UserError

MOST_PIXELS = 100_000_000  # a picture of more is taken for a decompression bomb: 300 MB once decoded


class ImageFiles:
    """Image files, decoded to RGB when asked for.

    Args:
        paths: One file a sample.
        rows: Where a table names each, for complaints, such as `faces.csv, row 7`; None if no table does.
    """

    def __init__(self, paths: Sequence[Path], rows: Sequence[str] | None = None) -> None:
        self.paths = list(paths)
        self.rows = None if rows is None else list(rows)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            return open_rgb(path)
        except ValueError as error:
            raise UserError(f"{path} cannot be read as an image ({error}): replace it") from error

    def problem(self, index: int) -> str | None:
        """What is wrong with a file, found by decoding all of it; None if nothing is."""
        try:
            open_rgb(self.paths[index])
        except ValueError as error:
            return str(error)
        return None

    def take(self, indices: Sequence[int]) -> "ImageFiles":
        """Some of the files, in the order given."""
        rows = None if self.rows is None else [self.rows[i] for i in indices]
        return ImageFiles([self.paths[i] for i in indices], rows)


def open_rgb(path: Path) -> Image.Image:
    """Decode an image to RGB; 16 bits a pixel become 8.

    Raises:
        ValueError: If it is missing, unreadable, cut short, has pixels that are no colours (whole numbers of 32
            bits, or floats), or more than `MOST_PIXELS` of them, which is seen from its header, before memory is taken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own bound is told below
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise _RefusedError(f"{image.width} x {image.height} pixels, a decompression bomb")
                if image.mode in ("I", "F"):
                    raise _RefusedError(
                        f"its pixels are numbers (mode {image.mode}) of no known range: save it with 8 bits"
                    )
                if image.mode.startswith("I;16"):
                    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
                return image.convert("RGB")
    except _RefusedError as error:
        raise ValueError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise ValueError("so many pixels that it is a decompression bomb") from error
    except Exception as error:  # Pillow's readers raise almost anything for broken files
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from error


class _RefusedError(Exception):
    """What we will not decode."""
