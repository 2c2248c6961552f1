"""Image files as arrays, by the faster of two decoders where both give the same pixels."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rnc_lightning.datasets.images.crop import Pixels
from rnc_lightning.datasets.images.files import MOST_PIXELS, ImageFiles, open_rgb
from rnc_lightning.system.errors import UserError

_AS_PILLOW = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


class PixelFiles:
    """`ImageFiles` as arrays (H, W, 3) uint8: the same pixels, sooner where they are JPEG.

    Args:
        files: The images.
    """

    def __init__(self, files: ImageFiles) -> None:
        self.paths = files.paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Pixels:
        path = self.paths[index]
        try:
            return read_pixels(path)
        except ValueError as error:
            raise UserError(f"{path} cannot be read as an image ({error}): replace it") from error


def read_pixels(path: Path) -> Pixels:
    """Decode an image to (H, W, 3) uint8.

    Raises:
        ValueError: For what `open_rgb` refuses, in its words.
    """
    pixels = _plain_jpeg(path)
    return np.asarray(open_rgb(path)) if pixels is None else pixels


def _plain_jpeg(path: Path) -> Pixels | None:
    """The pixels of a JPEG file with three colours; None for all else, and for one that is broken."""
    try:
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `open_rgb` refuses it
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if image.format != "JPEG" or image.mode != "RGB" or width * height > MOST_PIXELS:
                    return None
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), _AS_PILLOW)
    except Exception:  # whatever is wrong with it, `open_rgb` has the words
        return None
    if pixels is None or pixels.shape != (height, width, 3):
        return None
    return np.asarray(pixels, np.uint8)
