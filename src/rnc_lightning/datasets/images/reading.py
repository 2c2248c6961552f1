"""How image files become 8-bit RGB: the background of transparent pixels, the orientation, the range of the values."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from PIL import ImageColor

from rnc_lightning.datasets.transform import Description

WHITE = (255, 255, 255)
MOST_PIXELS = 100_000_000  # larger images (300 MB decoded) are refused as decompression bombs


@dataclass(frozen=True)
class ImageReading:
    """How image files are read; the default reads ordinary files of 8 bits per channel as they are.

    Attributes:
        background: RGB colour behind transparent pixels.
        exif_orientation: Whether images are turned as their orientation tag says.
        image_range: The lowest and highest value, which become 0 and 255; None: only images of 8 bits can be read.
        found: Whether the range was found in the training images. Then it applies to images of more than 8 bits only,
            and values beyond it are refused. A range that the user gives applies to all images and cuts values off.
        eight_bits: Whether images of 8 bits are accepted beside others.
    """

    background: tuple[int, int, int] = WHITE
    exif_orientation: bool = False
    image_range: tuple[float, float] | None = None
    found: bool = False
    eight_bits: bool = True

    @property
    def key(self) -> str:
        """Text that is different for every way of reading."""
        return str(astuple(self))

    def describe(self) -> Description:
        """The reading, as far as it differs from that of ordinary opaque files of 8 bits."""
        facts: dict[str, Any] = {"background": list(self.background), "exif_orientation": self.exif_orientation}
        words = (
            f"Before that: transparent pixels are laid over RGB {self.background}; orientation tags (EXIF) are "
            f"{'followed' if self.exif_orientation else 'ignored'}."
        )
        if self.image_range is not None:
            low, high = self.image_range
            facts["image_range"] = [low, high]
            which = "of images with more than 8 bits per channel " if self.found else ""
            words += f" Values {which}are scaled so that {low:g} becomes 0 and {high:g} becomes 255, and rounded."
        return Description(facts, words)


def read_options(
    background: str | Sequence[int], exif_orientation: bool, image_range: Sequence[float] | None
) -> ImageReading:
    """The reading that options describe.

    Args:
        background: Name of a colour, such as `white`, or its RGB values from 0 to 255.
        exif_orientation: Whether images are turned as their orientation tag says.
        image_range: The lowest and highest value; None: found in the training images where it is needed.

    Raises:
        ValueError: For values that are no colour, no switch or no range.

    >>> read_options("black", False, [0, 4095]).background
    (0, 0, 0)
    """
    if not isinstance(exif_orientation, bool):
        raise ValueError(f"exif_orientation must be true or false, got {exif_orientation!r}")
    limits: tuple[float, float] | None = None
    if image_range is not None:
        numbers = [value for value in image_range if isinstance(value, int | float) and not isinstance(value, bool)]
        if len(image_range) != 2 or len(numbers) != 2 or not float("-inf") < numbers[0] < numbers[1] < float("inf"):
            raise ValueError(f"image_range must be two rising numbers, such as [0, 4095], or null, got {image_range}")
        limits = numbers[0], numbers[1]
    return ImageReading(_colour(background), exif_orientation, limits)


def _colour(value: str | Sequence[int]) -> tuple[int, int, int]:
    if isinstance(value, str):
        try:
            red, green, blue = ImageColor.getrgb(value)[:3]
        except ValueError:
            raise ValueError(f"background must be a colour such as white or [255, 255, 255], got {value!r}") from None
        return red, green, blue
    if len(value) != 3 or not all(type(part) is int and 0 <= part <= 255 for part in value):
        raise ValueError(f"background must be a colour such as white or [255, 255, 255], got {value}")
    red, green, blue = value
    return red, green, blue
