"""Rotated digits: real handwritten digits (shipped with scikit-learn), rotated by a known angle."""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as F

from rnc_lightning.datasets.images.datamodule import GreyImages, find_usable_images
from rnc_lightning.datasets.images.reading import ImageReading
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.transform import Description
from rnc_lightning.datasets.unlabelled import Unlabelled, UserInputs, blank_split
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.seeding import derive_seed

# Within 60 degrees to either side these digits look different at any two angles. A round 0 and an 8 may not. In a wider
# range 1, 2 and 5 are excluded too, since half a turn hardly changes them, and 6 and 9, which it exchanges.
ASYMMETRIC = (1, 2, 3, 4, 5, 6, 7, 9)
_FINE = 4  # digits are rotated at this multiple of the final size, then scaled down


def rotated_digits(
    digits: Sequence[int] = ASYMMETRIC,
    max_angle: float = 60.0,
    size: int = 32,
    val_fraction: float = 0.2,
    test_fraction: float = 0.2,
    eval_angles: int = 2,
    seed: int = 0,
) -> dict[SplitName, Split]:
    """Split the source images, then rotate each by angles drawn uniformly from +-max_angle.

    Args:
        digits: Classes to use, from 0 to 9.
        max_angle: Largest angle to either side, in degrees, counter-clockwise positive.
        size: Side of the images in pixels.
        val_fraction: Fraction of the source images for validation.
        test_fraction: Fraction of the source images for the test.
        eval_angles: Angles drawn for each validation and test image, for a more precise estimate; training images get
            one.
        seed: Seed of the split and of the angles.

    Returns:
        The three splits: inputs (N, 1, size, size) uint8, targets (N, 1) in degrees.

    Raises:
        ValueError: For an argument out of its range.
    """
    _check(digits, max_angle, size, val_fraction, test_fraction, eval_angles)
    source = load_digits()
    chosen = np.flatnonzero(np.isin(source.target, list(digits)))
    chosen = np.random.default_rng(derive_seed(seed, "digits", "split")).permutation(chosen)
    n_val, n_test = round(len(chosen) * val_fraction), round(len(chosen) * test_fraction)
    parts: dict[SplitName, np.ndarray] = {
        "train": chosen[n_val + n_test :],
        "val": chosen[:n_val],
        "test": chosen[n_val : n_val + n_test],
    }
    splits: dict[SplitName, Split] = {}
    for name, indices in parts.items():
        indices = np.repeat(indices, 1 if name == "train" else eval_angles)
        generator = np.random.default_rng(derive_seed(seed, "digits", "angles", name))
        angles = generator.uniform(-max_angle, max_angle, len(indices)).astype(np.float32)
        images = _rotate(torch.from_numpy(source.images[indices]), angles, size)
        names = [f"digit-{source.target[i]}-{i:04d}" for i in indices]
        splits[name] = Split(images, torch.from_numpy(angles)[:, None], names)
    return splits


class DigitsDataModule(RegressionDataModule):
    """Rotated digits; see `rotated_digits` for the arguments.

    Raises:
        ValueError: For an argument out of its range.
    """

    synthetic_parts = ("target",)
    terms: ClassVar[str] = (
        "Real handwritten digits as scikit-learn ships them, from the UCI repository (Optical Recognition of "
        "Handwritten Digits, https://archive.ics.uci.edu/dataset/80), whose page has the terms; the angles are "
        "synthetic."
    )

    def __init__(
        self,
        *,
        digits: Sequence[int] = ASYMMETRIC,
        max_angle: float = 60.0,
        size: int = 32,
        val_fraction: float = 0.2,
        test_fraction: float = 0.2,
        eval_angles: int = 2,
        split_seed: int = 0,
        **loading: Any,
    ) -> None:
        super().__init__(**loading)
        _check(digits, max_angle, size, val_fraction, test_fraction, eval_angles)
        self.size = size
        self._arguments = {
            "digits": tuple(digits),
            "max_angle": max_angle,
            "size": size,
            "val_fraction": val_fraction,
            "test_fraction": test_fraction,
            "eval_angles": eval_angles,
            "seed": split_seed,
        }

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Create the three splits; takes one to three seconds, once per process."""
        splits = _cached_digits(**self._arguments)
        return {name: replace(split, inputs=split.inputs.clone()) for name, split in splits.items()}  # type: ignore[attr-defined]

    def example_input(self) -> Tensor:
        """A black image."""
        return torch.zeros(1, self.size, self.size, dtype=torch.uint8)

    def describe_input(self) -> Description:
        """Size and normalisation."""
        facts = {"kind": "grey image", "resize": self.size, "crop": self.size}
        words = f"Grey images of {self.size} x {self.size} pixels, light digits on black."
        return Description(facts, words).then(self.eval_transform)

    def unlabelled(self, inputs: UserInputs, problems: Problems) -> Unlabelled:
        """Image files, converted to grey, resized and cropped to the centre."""
        on_black = ImageReading(background=(0, 0, 0))
        files = find_usable_images(inputs, "path", problems, on_black)
        return Unlabelled(files.columns, [blank_split(GreyImages(files.paths, self.size, on_black))])


_cached_digits = lru_cache(maxsize=4)(rotated_digits)


def _rotate(images: Tensor, angles: np.ndarray, size: int) -> Tensor:
    """Rotate 8 x 8 images with values 0..16 at a fine resolution; returns (N, 1, size, size) uint8."""
    inner = round(size * _FINE * 0.9)
    border = (size * _FINE - inner) // 2
    rotated = torch.empty(len(images), 1, size, size, dtype=torch.uint8)
    for i, (image, angle) in enumerate(zip(images, angles, strict=True)):
        fine = F.pad((image[None].float() / 16).clamp(0, 1), [1, 1, 1, 1])  # otherwise cut strokes reveal the angle
        fine = F.resize(fine, [inner, inner], InterpolationMode.BICUBIC, antialias=True)
        fine = F.pad(fine, [border, border, border, border])
        fine = F.rotate(fine, float(angle), InterpolationMode.BILINEAR)
        fine = F.resize(fine, [size, size], InterpolationMode.BILINEAR, antialias=True)
        rotated[i] = (fine.clamp(0, 1) * 255).round().to(torch.uint8)
    return rotated


def _check(
    digits: Sequence[int],
    max_angle: float,
    size: int,
    val_fraction: float,
    test_fraction: float,
    eval_angles: int,
) -> None:
    if not digits or not set(digits) <= set(range(10)):
        raise ValueError(f"digits must be classes from 0 to 9, got {list(digits)}")
    if not 0 < max_angle <= 180:
        raise ValueError(f"max_angle must be above 0 and at most 180 degrees, got {max_angle}")
    check_whole_number("size", size, 8)
    if val_fraction <= 0 or test_fraction <= 0 or val_fraction + test_fraction >= 1:
        raise ValueError(
            f"val_fraction and test_fraction must be positive and sum to less than 1, "
            f"got {val_fraction} and {test_fraction}"
        )
    check_whole_number("eval_angles", eval_angles, 1)
