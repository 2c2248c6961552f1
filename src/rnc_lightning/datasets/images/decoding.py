"""Image files as arrays, decoded by the faster of two decoders if both give the same pixels."""

import io
import warnings
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rnc_lightning.datasets.images.crop import Pixels
from rnc_lightning.datasets.images.files import ORDINARY, ImageFiles, open_rgb, orientation_of
from rnc_lightning.datasets.images.reading import MOST_PIXELS, ImageReading
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import check_regular

_AS_PILLOW = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION


class PixelFiles:
    """`ImageFiles` as arrays (H, W, 3) uint8: the same pixels, faster for JPEG files.

    Args:
        files: The images.
    """

    def __init__(self, files: ImageFiles) -> None:
        self.paths = files.paths
        self.reading = files.reading

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Pixels:
        path = self.paths[index]
        try:
            return read_pixels(path, self.reading)
        except ValueError as error:
            raise UserError(f"{path} cannot be read as an image ({error}): replace it") from error


def read_pixels(path: Path, reading: ImageReading = ORDINARY) -> Pixels:
    """Decode an image to (H, W, 3) uint8.

    Raises:
        ValueError: As `open_rgb`.
    """
    pixels = _plain_jpeg(path, reading)
    return np.asarray(open_rgb(path, reading)) if pixels is None else pixels


def _plain_jpeg(path: Path, reading: ImageReading) -> Pixels | None:
    """The pixels of a JPEG file with three colours that is read as it is; None for any other file."""
    if not reading.eight_bits or (reading.image_range is not None and not reading.found):
        return None
    try:
        check_regular(path)
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `open_rgb` refuses it
            with Image.open(io.BytesIO(content)) as image:
                width, height = image.size
                if image.format != "JPEG" or image.mode != "RGB" or width * height > MOST_PIXELS:
                    return None
                if orientation_of(image, reading) != 1:
                    return None
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), _AS_PILLOW)
    except Exception:  # `open_rgb` then raises the right error
        return None
    if pixels is None or pixels.shape != (height, width, 3):
        return None
    return np.asarray(pixels, np.uint8)
