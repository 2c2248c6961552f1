"""Images corrupted at the encoder's size."""

import numpy as np
import pytest
import torch
from PIL import Image

from rnc_lightning.datasets.images.corrupted import CorruptedInputs
from rnc_lightning.datasets.images.corruptions import Corruption, corrupt
from rnc_lightning.datasets.images.transforms import plain_digit
from rnc_lightning.datasets.images.views import CentredImage
from rnc_lightning.system.errors import UserError

CONTRAST = Corruption("contrast", 3)


def test_an_image_is_cut_then_corrupted_then_normalised() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    transform = CentredImage(size=32, resize=36)
    corrupted = CorruptedInputs([Image.fromarray(pixels)], transform, CONTRAST)
    found = corrupted.finishing(corrupted[0])
    cut = transform(pixels)
    image = ((cut + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).numpy()
    expected = corrupt(image, "contrast", 3, np.random.default_rng(0))  # which draws nothing
    torch.testing.assert_close(found, torch.from_numpy(expected).permute(2, 0, 1) / 127.5 - 1)


def test_a_small_grey_picture_stays_one_and_depends_on_its_index_alone() -> None:
    pictures = torch.randint(0, 256, (3, 1, 16, 16), dtype=torch.uint8)
    noise = Corruption("gaussian_noise", 2)
    for side in (None, 64):
        corrupted = CorruptedInputs(pictures, plain_digit(), noise, side)
        assert (corrupted[1].shape, corrupted[1].dtype) == ((1, 16, 16), torch.uint8)
        assert torch.equal(corrupted[1], CorruptedInputs(pictures, plain_digit(), noise, side)[1])
        assert corrupted.finishing(corrupted[1]).dtype == torch.float32
    same = CorruptedInputs(pictures[[0, 0]], plain_digit(), noise)
    assert not torch.equal(same[0], same[1])


def test_more_pixels_make_noise_milder() -> None:
    grey = torch.full((1, 1, 16, 16), 128, dtype=torch.uint8)
    noise = Corruption("gaussian_noise", 3)
    spread = [CorruptedInputs(grey, plain_digit(), noise, side)[0].float().std() for side in (None, 64)]
    assert spread[1] < spread[0] / 3  # 16 pixels of one, and three channels either way


def test_other_inputs_are_refused() -> None:
    with pytest.raises(UserError, match="these data have none"):
        CorruptedInputs(torch.zeros(2, 5), torch.clone, CONTRAST)
