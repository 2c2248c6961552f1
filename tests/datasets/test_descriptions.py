"""Transforms and data sets say of themselves what they do, with the values that they work with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnc_lightning.datasets.digits import DigitsDataModule
from rnc_lightning.datasets.feature_table import ArrayDataModule
from rnc_lightning.datasets.feature_transforms import plain_array
from rnc_lightning.datasets.images.transforms import augmented_digit, centred_image, plain_digit
from rnc_lightning.datasets.signal_table import SignalsDataModule
from rnc_lightning.datasets.signals.transforms import centred_crop
from rnc_lightning.datasets.transform import Description, Transform, description_of


@pytest.mark.parametrize("transform", [plain_digit(0.1, 0.2), plain_digit(), centred_image(8, 8)])
def test_the_mean_and_std_described_are_those_used(transform: Transform) -> None:
    described = description_of(transform)
    assert described is not None
    channels = len(described.facts["mean"])
    pixels = torch.randint(0, 256, (channels, 8, 8), dtype=torch.uint8)
    mean, std = (torch.tensor(described.facts[key])[:, None, None] for key in ("mean", "std"))
    torch.testing.assert_close(transform(pixels), (pixels / 255 - mean) / std)
    assert f"subtract {float(mean[0, 0, 0]):g} and divide by {float(std[0, 0, 0]):g}" in described.words


def test_augmentation_normalises_alike() -> None:
    still: dict[str, Any] = {"min_scale": 1.0, "brightness": 0.0, "contrast": 0.0, "noise": 0.0}
    pixels = torch.randint(0, 256, (1, 8, 8), dtype=torch.uint8)
    found = augmented_digit(8, **still, mean=0.1, std=0.2)(pixels)
    torch.testing.assert_close(found, plain_digit(0.1, 0.2)(pixels))


def test_digits_add_their_size() -> None:
    data = DigitsDataModule(train_transform=plain_digit(), eval_transform=plain_digit(0.1, 0.2), size=16, batch_size=4)
    described = data.describe_input()
    assert described.facts == {"kind": "grey image", "resize": 16, "crop": 16, "mean": [0.1], "std": [0.2]}
    assert data.eval_transform(data.example_input()).shape == (1, 16, 16)
    data.eval_transform = torch.clone
    assert data.describe_input().words.endswith("Then `clone`, which does not describe itself.")


def test_signals_add_rate_and_band(tmp_path: Path) -> None:
    crop = centred_crop(1.0, 50.0, scale=20.0, clip=800.0)
    data = SignalsDataModule(
        csv=str(tmp_path / "my.csv"), target=["age"], input="path", window=1.0, sampling_rate=50.0, low=0.5,
        in_channels=2, train_transform=crop, eval_transform=crop, batch_size=4,
    )  # fmt: skip
    described = data.describe_input()
    assert described.facts == {
        "kind": "signal", "sampling_rate": 50.0, "low": 0.5, "high": None, "channels": None, "window": 1.0,
        "samples": 50, "scale": 20.0, "clip": 800.0, "standardise": False,
    }  # fmt: skip
    assert "Values clipped to +-800, divided by 20." in described.words
    assert data.eval_transform(data.example_input()).shape == (2, 50)


def test_numbers_are_described_once_they_were_read(tmp_path: Path) -> None:
    rows = "\n".join(f"{i},{i * i},{i % 3}" for i in range(30))
    (tmp_path / "my.csv").write_text(f"a,b,level\n{rows}\n", encoding="utf-8")
    plain = plain_array()
    data = ArrayDataModule(
        csv=str(tmp_path / "my.csv"), target=["level"], channels=2, train_transform=plain, eval_transform=plain,
        batch_size=4,
    )  # fmt: skip
    assert data.describe_input() is None
    assert data.example_input() is None
    data.setup()
    described = data.describe_input()
    assert described is not None
    assert described.facts["inputs"] == ["a", "b"]
    again = ArrayDataModule(
        csv=str(tmp_path / "gone.csv"), target=["level"], channels=2, train_transform=plain, eval_transform=plain,
        batch_size=4,
    )  # fmt: skip
    again.preparation = data.preparation  # as a finished run keeps it
    assert again.describe_input() == described
    np.testing.assert_array_equal(again.example_input(), np.zeros(2))


def test_what_says_nothing_is_named() -> None:
    assert description_of(torch.clone) is None
    whole = Description({"kind": "numbers"}, "Numbers.").then(torch.clone)
    assert whole == Description({"kind": "numbers"}, "Numbers. Then `clone`, which does not describe itself.")
