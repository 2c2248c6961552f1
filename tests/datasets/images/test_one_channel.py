"""Grey views of one channel are a channel of the views of three."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from rnc_lightning.datasets.images.colour_on_device import finish_on_device
from rnc_lightning.datasets.images.corrupted import CorruptedInputs
from rnc_lightning.datasets.images.corruptions import Corruption
from rnc_lightning.datasets.images.transforms import augmented_image, centred_image, local_image
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split
from rnc_lightning.datasets.transform import description_of

COLOURS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8)
GREY = np.asarray(Image.fromarray(COLOURS).convert("L").convert("RGB"))


def _batch(image: np.ndarray, channels: int, on_device: bool) -> dict[str, Any]:
    split = Split([image] * 3, torch.zeros(3, 1), list("abc"))
    local = (local_image(20, channels=channels), 2)
    dataset = ViewsDataset(split, augmented_image(20, channels=channels), 2, on_device, local)
    return finish_on_device(default_collate([dataset[Draw(i, i)] for i in range(3)]))


@pytest.mark.parametrize("on_device", [False, True])
def test_views_of_grey_images(on_device: bool) -> None:
    three, one = _batch(GREY, 3, on_device), _batch(GREY, 1, on_device)
    for key in ("x", "x_local"):
        assert one[key].shape == (*three[key].shape[:2], 1, *three[key].shape[3:])
        torch.testing.assert_close(one[key], three[key][:, :, :1], rtol=0, atol=0)


def test_colours_become_grey_first() -> None:
    for transform in (augmented_image(20, channels=1), centred_image(20, channels=1)):
        views = []
        for image in (COLOURS, GREY, Image.fromarray(COLOURS), torch.from_numpy(COLOURS).permute(2, 0, 1)):
            torch.manual_seed(0)
            views.append(transform(image))
        assert views[0].shape == (1, 20, 20)
        assert all((view - views[0]).abs().max() < 0.01 for view in views)  # Pillow rounds grey in its own way
    assert torch.equal(centred_image(20, channels=1)(GREY), centred_image(20)(GREY)[:1])


def test_the_description_has_one_channel() -> None:
    described = description_of(centred_image(20, channels=1))
    assert described is not None
    assert (described.facts["kind"], described.facts["mean"], described.facts["std"]) == ("grey image", [0.5], [0.5])
    assert described.words.startswith("Grey images")


def test_corruptions_of_one_channel() -> None:
    three, one = (
        CorruptedInputs([GREY], centred_image(20, channels=channels), Corruption("contrast", 3)) for channels in (3, 1)
    )
    assert one[0].shape == (1, 20, 20)
    assert (one[0].int() - three[0][:1].int()).abs().max() <= 1
    assert one.finishing(one[0]).shape == (1, 20, 20)


@pytest.mark.parametrize("channels", [0, 2, 4])
def test_other_numbers_are_refused(channels: int) -> None:
    for make in (augmented_image, local_image, centred_image):
        with pytest.raises(ValueError, match=rf"images have 3 channels .* 1, got {channels}"):
            make(channels=channels)
