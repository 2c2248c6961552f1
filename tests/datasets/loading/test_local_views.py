"""Small crops beside the views: drawn after them, so that nothing else changes."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from PIL import Image
from torch.utils.data import default_collate

from rnc_lightning.datasets.digits import DigitsDataModule, rotated_digits
from rnc_lightning.datasets.images.colour_on_device import finish_on_device
from rnc_lightning.datasets.images.crop import CROP_NUMBERS, draw_crop
from rnc_lightning.datasets.images.transforms import (
    augmented_digit,
    augmented_image,
    local_digit,
    local_image,
    plain_digit,
)
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.signals.transforms import local_crop
from rnc_lightning.datasets.splits import Split
from rnc_lightning.runs.parts import Parts
from rnc_lightning.system.errors import UserError


@cache
def _splits() -> Any:
    return rotated_digits(digits=[3], size=16)


def _epoch(local_views: int, num_workers: int = 0) -> list[dict[str, torch.Tensor]]:
    transforms = {"train_transform": augmented_digit(16), "local_transform": local_digit(16)}
    data = DigitsDataModule(**transforms, eval_transform=plain_digit(), batch_size=16, num_workers=num_workers)
    data.splits = _splits()
    return list(data.for_stage(seed=3, batch_size=16, views=2, local_views=local_views).train_dataloader())


def test_views_are_the_same_with_and_without_local_ones_and_with_workers() -> None:
    plain, local, again = _epoch(0), _epoch(3), _epoch(3, num_workers=2)
    assert "x_local" not in plain[0]
    assert local[0]["x_local"].shape == (16, 3, 1, 8, 8)
    for a, b, c in zip(plain, local, again, strict=True):
        assert all(torch.equal(a[key], b[key]) for key in a)
        assert all(torch.equal(b[key], c[key]) for key in b)
    crops = local[0]["x_local"]
    assert not torch.equal(crops[:, 0], crops[:, 1])


def test_local_crops_of_images_are_finished_on_the_device_as_in_the_loader() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    image = Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC)
    split = Split([image], torch.zeros(1, 1), ["a"])

    def batch(on_device: bool, local: Any) -> dict[str, Any]:
        dataset = ViewsDataset(split, augmented_image(56), 2, on_device, local)
        return default_collate([dataset[Draw(0, seed)] for seed in range(4)])

    local = (local_image(56), 3)
    whole, left = batch(False, local), batch(True, local)
    assert whole["x_local"].shape == (4, 3, 3, 24, 24)
    assert left["x_local"].dtype == torch.uint8
    assert left["colour_local"].shape == (4, 3, 9)
    done = finish_on_device(left)
    assert set(done) == {"x", "x_local", "y", "index"}
    assert (done["x_local"] - whole["x_local"]).abs().mean() < 1 / 127.5
    for on_device in (False, True):
        without, beside = batch(on_device, None), batch(on_device, local)
        assert all(torch.equal(without[key], beside[key]) for key in without)


def test_a_largest_scale_bounds_the_crops_and_1_changes_no_draw() -> None:
    numbers = torch.rand(500, CROP_NUMBERS, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).tolist()
    shares = [c.width * c.height / 120_000 for c in (draw_crop(400, 300, 0.05, n, 0.14) for n in numbers)]
    assert min(shares) > 0.045
    assert max(shares) < 0.145
    assert max(shares) - min(shares) > 0.08
    assert [draw_crop(400, 300, 0.2, n) for n in numbers] == [draw_crop(400, 300, 0.2, n, 1.0) for n in numbers]


def test_local_sizes_are_shares_of_the_others() -> None:
    assert local_image().size == 96
    assert local_image(32).size == 14
    assert local_image(224, size=64).size == 64
    signal = np.zeros((2, 1000), np.float32)
    assert local_crop(3.0, 100.0)(signal).shape == (2, 100)
    with pytest.raises(ValueError, match="max_scale"):
        local_image(min_scale=0.5, max_scale=0.4)
    with pytest.raises(ValueError, match="share"):
        local_crop(3.0, 100.0, share=0.0)


@pytest.mark.parametrize("data", ["agedb", "digits", "tuab", "mpiifacegaze"])
def test_every_data_sets_local_crops_have_the_colours_and_flips_of_its_views(
    data: str, compose_config: Callable[..., DictConfig]
) -> None:
    cfg = compose_config(f"data={data}", "method=dino")
    train, local = cfg.data.train_transform, cfg.data.local_transform
    cut = {"_target_", "size", "min_scale", "max_scale", "input_size", "window", "share"}
    assert {key: train[key] for key in train if key not in cut} == {key: local[key] for key in local if key not in cut}
    plan = Parts(cfg).plan("pretrain")
    assert (plan.views, plan.local_views) == (2, 2 if data == "digits" else 6)
    assert Parts(compose_config(f"data={data}")).plan("pretrain").local_views == 0


def test_data_without_a_transform_for_them_are_refused() -> None:
    data = DigitsDataModule(train_transform=augmented_digit(16), eval_transform=plain_digit(), batch_size=4)
    with pytest.raises(
        UserError, match=r"is 2, but Digits has no data\.local_transform: .*recipe\.dino\.local_views=0"
    ):
        data.for_stage(seed=0, batch_size=4, views=2, local_views=2)
