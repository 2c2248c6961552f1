"""Image files as inputs: opened on demand, refused if they are broken or suspiciously large."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rnc_lightning.system.errors import UserError, first_line

MOST_PIXELS = 100_000_000  # larger images (300 MB decoded) are refused as decompression bombs


class ImageFiles:
    """Image files, decoded to RGB on demand.

    Args:
        paths: One file per sample.
        rows: The table row of each for messages, such as `faces.csv, row 7`; None if there is no table.
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
        """What is wrong with a file, found by decoding it completely; None if nothing is."""
        try:
            open_rgb(self.paths[index])
        except ValueError as error:
            return str(error)
        return None

    def take(self, indices: Sequence[int]) -> "ImageFiles":
        """Some of the files, in this order."""
        rows = None if self.rows is None else [self.rows[i] for i in indices]
        return ImageFiles([self.paths[i] for i in indices], rows)


def open_rgb(path: Path) -> Image.Image:
    """Decode an image to RGB; 16 bits per pixel are reduced to 8.

    Raises:
        ValueError: If it is missing, unreadable or truncated, its pixels are not colours (32-bit integers or floats),
            or there are more than `MOST_PIXELS` of them, which is checked before memory is allocated.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a limit of our own
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise _RefusedError(f"{image.width} x {image.height} pixels, a decompression bomb")
                if image.mode in ("I", "F"):
                    raise _RefusedError(
                        f"its pixels are numbers of unknown range (mode {image.mode}): save it with 8 bits"
                    )
                if image.mode.startswith("I;16"):
                    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
                return image.convert("RGB")
    except _RefusedError as error:
        raise ValueError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise ValueError("too many pixels, a decompression bomb") from error
    except Exception as error:  # Pillow's readers raise almost anything for broken files
        raise ValueError(first_line(error)) from error


class _RefusedError(Exception):
    """An image that could be decoded but is refused."""
