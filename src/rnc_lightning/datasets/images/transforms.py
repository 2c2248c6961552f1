"""Image transforms. Each factory is a `_target_` in a data set's YAML."""

from typing import Any

from torch import Tensor, float32
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from rnc_lightning.datasets.images.colour import MEAN, STD, ColourJitter
from rnc_lightning.datasets.images.views import AugmentedImage, CentredImage
from rnc_lightning.datasets.transform import Description, Transform


def augmented_image(
    size: int = 224,
    min_scale: float = 0.2,
    flip: float = 0.5,
    jitter: float = 0.8,
    brightness: float = 0.4,
    contrast: float = 0.4,
    saturation: float = 0.4,
    hue: float = 0.1,
    grayscale: float = 0.2,
    channels: int = 3,
) -> AugmentedImage:
    """The official training transform: crop, flip, colour jitter, grey, normalise (paper.md, section 1.7).

    Args:
        size: Side of the output in pixels.
        min_scale: Smallest fraction of the area that a crop keeps; crops have torchvision's default aspect ratios.
        flip: Probability of a horizontal flip; set it to 0 if a flip changes the target.
        jitter: Probability of the colour jitter.
        brightness: Strength of the jitter in brightness.
        contrast: Strength of the jitter in contrast.
        saturation: Strength of the jitter in saturation.
        hue: Strength of the jitter in hue, as a fraction of a full turn.
        grayscale: Probability of conversion to grey.
        channels: 3, or 1 for grey views; colours become grey first.

    Returns:
        A function from an RGB image (Pillow, uint8 array (H, W, 3) or tensor (3, H, W)) to a float tensor
        (channels, size, size) in [-1, 1].

    Raises:
        ValueError: For a probability or strength out of its range.
    """
    colour = ColourJitter(jitter, brightness, contrast, saturation, hue, grayscale)
    return AugmentedImage(size, min_scale, flip, colour, channels=channels)


def local_image(
    input_size: int = 224,
    size: int | None = None,
    min_scale: float = 0.05,
    max_scale: float = 0.14,
    flip: float = 0.5,
    channels: int = 3,
    **colour: Any,
) -> AugmentedImage:
    """A small crop in addition to those of `augmented_image`, as in DINO.

    Args:
        input_size: Side of the other crops in pixels.
        size: Side of the output in pixels; null: 3/7 of `input_size`, which is 96 for 224.
        min_scale: Smallest fraction of the area that a crop keeps.
        max_scale: Largest fraction.
        flip: As for `augmented_image`.
        channels: As for `augmented_image`.
        **colour: The colour arguments of `augmented_image`.
    """
    side = round(input_size * 3 / 7) if size is None else size
    return AugmentedImage(side, min_scale, flip, augmented_image(**colour).colour, max_scale, channels)


def centred_image(size: int = 224, resize: int | None = None, channels: int = 3) -> CentredImage:
    """The official evaluation transform: resize the shorter side, crop the central square, normalise.

    Args:
        size: Side of the output in pixels.
        resize: Shorter side before the crop; null: 8/7 of `size`, which is the official 256 for 224.
        channels: 3, or 1 for a grey image; colours become grey first.
    """
    return CentredImage(size, round(size * 8 / 7) if resize is None else resize, channels)


def augmented_digit(
    size: int = 32,
    min_scale: float = 0.6,
    brightness: float = 0.3,
    contrast: float = 0.3,
    noise: float = 0.05,
    max_scale: float = 1.0,
    mean: float = MEAN,
    std: float = STD,
) -> Transform:
    """Crop, brightness, contrast, noise: no rotation, flip or change of aspect ratio, which would change the angle.

    Args:
        size: Side of the output in pixels.
        min_scale: Smallest fraction of the area that a crop keeps; crops are square.
        brightness: Strength of the jitter in brightness.
        contrast: Strength of the jitter in contrast.
        noise: Standard deviation of additive Gaussian noise, as a fraction of the pixel range.
        max_scale: Largest fraction of the area that a crop keeps.
        mean: Subtracted at the end from pixels in [0, 1].
        std: By which they are then divided.
    """
    return v2.Compose(
        [
            v2.ToDtype(float32, scale=True),
            v2.RandomResizedCrop(size, scale=(min_scale, max_scale), ratio=(1.0, 1.0), antialias=False),
            v2.ColorJitter(brightness, contrast),
            v2.GaussianNoise(sigma=noise),
            Normalised(mean, std),
        ]
    )


def local_digit(
    input_size: int = 32, size: int | None = None, min_scale: float = 0.2, max_scale: float = 0.5, **more: float
) -> Transform:
    """A small crop in addition to those of `augmented_digit`.

    Args:
        input_size: Side of the other crops in pixels.
        size: Side of the output in pixels; null: half of `input_size`.
        min_scale: Smallest fraction of the area that a crop keeps.
        max_scale: Largest fraction.
        **more: Further arguments of `augmented_digit`.
    """
    side = max(1, input_size // 2) if size is None else size
    return augmented_digit(side, min_scale, max_scale=max_scale, **more)


def plain_digit(mean: float = MEAN, std: float = STD) -> "Normalised":
    """Integer pixels to floats, in [-1, 1] by default, without augmentation."""
    return Normalised(mean, std)


class Normalised:
    """Subtracts a mean from pixels (integers, or floats from 0 to 1) and divides by a standard deviation.

    Args:
        mean: Mean for every channel.
        std: Standard deviation for every channel.

    Raises:
        ValueError: For a standard deviation that is not positive.
    """

    def __init__(self, mean: float, std: float) -> None:
        if not std > 0:
            raise ValueError(f"std must be positive, got {std}")
        self.mean = mean
        self.std = std

    def __call__(self, image: Tensor) -> Tensor:
        """(C, H, W) to float32 (C, H, W)."""
        floats: Tensor = image if image.is_floating_point() else F.to_dtype(image, float32, scale=True)
        return (floats - self.mean) / self.std

    def describe(self) -> Description:
        """Mean and standard deviation."""
        words = f"Pixels from 0 to 1; subtract {self.mean:g} and divide by {self.std:g}."
        return Description({"mean": [self.mean], "std": [self.std]}, words)
