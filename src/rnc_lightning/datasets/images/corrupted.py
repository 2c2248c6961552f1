"""A split's images corrupted at the encoder's input size: after resizing and cropping, before conversion to float."""

from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from rnc_lightning.datasets.images.colour import normalise
from rnc_lightning.datasets.images.corruptions import Corruption
from rnc_lightning.datasets.splits import Inputs
from rnc_lightning.datasets.transform import ImageTransform, Transform
from rnc_lightning.system.errors import UserError


class CorruptedInputs:
    """Inputs as pixels (C, S, S) uint8 of the encoder's input size, corrupted.

    Args:
        inputs: The split's inputs: images of any size, or small images (1 or 3, H, W) uint8.
        transform: The split's evaluation transform; an `ImageTransform` resizes and crops before the corruption.
        corruption: Applied to each image; its random numbers depend on the index.
        side: Images with a shorter side than this are scaled up to it (bicubic), corrupted, and scaled down again by
            averaging, as if a camera with a higher resolution had seen the corrupted scene; None: no scaling.

    Raises:
        UserError: If the inputs are not images, or `side` is not a whole number from 1 up.
    """

    def __init__(self, inputs: Inputs, transform: Transform, corruption: Corruption, side: int | None = None) -> None:
        if side is not None and (isinstance(side, bool) or not isinstance(side, int) or side < 1):
            raise UserError(f"corruption_side must be a whole number from 1 up or null, got {side}")
        if not isinstance(transform, ImageTransform) and not _is_small_image(inputs[0]):
            raise UserError("corruption: corruptions need images, and these data have none")
        self.inputs = inputs
        self.transform = transform
        self.corruption = corruption
        self.side = side

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Tensor:
        source = self.inputs[index]
        pixels = self.transform.pixels(source, 1)[0][0] if isinstance(self.transform, ImageTransform) else source
        grey = pixels.shape[0] == 1
        image = np.ascontiguousarray(pixels.expand(3, -1, -1).permute(1, 2, 0).numpy())
        image = _corrupt_at_side(image, self.corruption, index, self.side)
        if grey:
            return torch.from_numpy(np.rint(image.mean(axis=2)).astype(np.uint8))[None]
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))

    @property
    def finishing(self) -> Transform:
        """The part of the evaluation transform that comes after the corruption."""
        return normalise if isinstance(self.transform, ImageTransform) else self.transform


def _corrupt_at_side(image: np.ndarray, corruption: Corruption, index: int, side: int | None) -> np.ndarray:
    height, width = image.shape[:2]
    if side is None or min(height, width) >= side:
        return np.array(corruption(image, index))
    scale = side / min(height, width)
    large = Image.fromarray(image).resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    return np.array(corruption(large, index).resize((width, height), Image.Resampling.BOX))


def _is_small_image(source: Any) -> bool:
    return isinstance(source, Tensor) and source.dtype == torch.uint8 and source.ndim == 3 and source.shape[0] in (1, 3)
