"""Image files as inputs: opened on demand, refused if they are broken or suspiciously large."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from rnc_lightning.datasets.images.reading import MOST_PIXELS, ImageReading
from rnc_lightning.datasets.images.wide import bits_of, to_eight_bits, wide_values
from rnc_lightning.system.errors import UserError, first_line
from rnc_lightning.system.files import check_regular

ORDINARY = ImageReading()
ORIENTATION = 0x0112  # tag of EXIF and TIFF
_TURNED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BACK = {**_TURNED, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}


class ImageFiles:
    """Image files, decoded to RGB on demand.

    Args:
        paths: One file per sample.
        rows: The table row of each for messages, such as `faces.csv, row 7`; None if there is no table.
        reading: How the files are read.
    """

    def __init__(
        self, paths: Sequence[Path], rows: Sequence[str] | None = None, reading: ImageReading = ORDINARY
    ) -> None:
        self.paths = list(paths)
        self.rows = None if rows is None else list(rows)
        self.reading = reading

    @property
    def checked_as(self) -> bytes:
        """What a file check depends on in addition to the files."""
        return self.reading.key.encode()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            return open_rgb(path, self.reading)
        except ValueError as error:
            raise UserError(f"{path} cannot be read as an image ({error}): replace it") from error

    def problem(self, index: int) -> str | None:
        """What is wrong with a file, found by decoding it completely; None if nothing is."""
        try:
            open_rgb(self.paths[index], self.reading)
        except ValueError as error:
            return str(error)
        return None

    def take(self, indices: Sequence[int]) -> "ImageFiles":
        """Some of the files, in this order."""
        rows = None if self.rows is None else [self.rows[i] for i in indices]
        return ImageFiles([self.paths[i] for i in indices], rows, self.reading)

    def read_as(self, reading: ImageReading) -> "ImageFiles":
        """The same files, read in another way."""
        return ImageFiles(self.paths, self.rows, reading)


def open_rgb(path: Path, reading: ImageReading = ORDINARY) -> Image.Image:
    """Decode an image to RGB with 8 bits per channel.

    Raises:
        ValueError: If it is missing, unreadable, truncated or no regular file, its values are not known to fit into 8
            bits, or there are more than `MOST_PIXELS` pixels, which is checked before memory is allocated.
    """
    check_regular(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # we have a limit of our own
            with Image.open(path) as image:
                if image.width * image.height > MOST_PIXELS:
                    raise _RefusedError(f"{image.width} x {image.height} pixels, a decompression bomb")
                try:
                    bits = bits_of(image)
                    orientation = orientation_of(image, reading)
                    colours = _eight_bit(image, reading) if bits == 8 else _wide(image, bits, path, reading)
                except ValueError as error:
                    raise _RefusedError(first_line(error)) from error
                return _turn(colours, _BACK if image.format == "TIFF" else _TURNED, orientation)
    except _RefusedError as error:
        raise ValueError(str(error)) from error
    except Image.DecompressionBombError as error:
        raise ValueError("too many pixels, a decompression bomb") from error
    except Exception as error:  # Pillow's readers raise almost anything for broken files
        raise ValueError(first_line(error)) from error


def orientation_of(image: Image.Image, reading: ImageReading) -> int:
    """The orientation tag (1 to 8) for which the decoded pixels of an opened image must be turned; 1 for none.

    Decoders follow the tag of TIFF files and ignore all others.
    """
    if reading.exif_orientation == (image.format == "TIFF"):
        return 1
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # a damaged tag does not keep the pixels from being read
        return 1


def _eight_bit(image: Image.Image, reading: ImageReading) -> Image.Image:
    if not reading.eight_bits:
        raise ValueError("8 bits per channel, but the training images have more: save it like them")
    table = None
    if reading.image_range is not None and not reading.found:
        low, high = reading.image_range
        if high > 255:
            raise ValueError(f"8 bits per channel, but data.image_range=[{low:g}, {high:g}]")
        table = to_eight_bits(np.arange(256), low, high).tolist()
    if image.has_transparency_data:
        seen = image.convert("RGBA")
        return _over(seen if table is None else seen.point(table * 3 + list(range(256))), reading)
    colours = image.convert("RGB")
    return colours if table is None else colours.point(table * 3)


def _wide(image: Image.Image, bits: int, path: Path, reading: ImageReading) -> Image.Image:
    if reading.image_range is None or (reading.found and bits != 16):
        raise ValueError(
            f"{bits} bits per channel and an unknown range: train with data.image_range=[lowest, highest], or save it "
            "with 8 bits"
        )
    values, opacity = wide_values(image, path)
    low, high = reading.image_range
    if reading.found and values.max() > high:
        raise ValueError(
            f"values up to {values.max()}, but those of the training images end below {high + 1:g}; "
            f"data.image_range=[{low:g}, {high:g}] in training cuts them off"
        )
    colours = Image.fromarray(to_eight_bits(values, low, high)).convert("RGB")
    if opacity is None:
        return colours
    colours.putalpha(Image.fromarray(opacity))
    return _over(colours, reading)


def _over(image: Image.Image, reading: ImageReading) -> Image.Image:
    """An RGBA image laid over the background."""
    below = Image.new("RGBA", image.size, (*reading.background, 255))
    return Image.alpha_composite(below, image).convert("RGB")


def _turn(image: Image.Image, how: Mapping[int, Image.Transpose], orientation: int) -> Image.Image:
    return image.transpose(how[orientation]) if orientation in how else image


class _RefusedError(Exception):
    """An image that could be decoded but is refused."""
