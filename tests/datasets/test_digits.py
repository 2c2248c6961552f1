import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.datasets import load_digits

from rnc_lightning.datasets.digits import DigitsDataModule, rotated_digits
from rnc_lightning.datasets.images.transforms import augmented_digit, plain_digit


def _sources(names: list[str]) -> set[int]:
    return {int(name.rsplit("-", 1)[1]) for name in names}


def test_no_source_image_is_in_two_splits() -> None:
    splits = rotated_digits()
    sources = {part: _sources(list(split.names)) for part, split in splits.items()}
    assert not sources["train"] & sources["val"]
    assert not sources["train"] & sources["test"]
    assert not sources["val"] & sources["test"]
    assert {part: len(found) for part, found in sources.items()} == {"train": 867, "val": 289, "test": 289}
    assert {part: len(split) for part, split in splits.items()} == {"train": 867, "val": 578, "test": 578}
    classes = load_digits().target
    assert {classes[i] for found in sources.values() for i in found} == {1, 2, 3, 4, 5, 6, 7, 9}


def test_angles_are_spread_over_the_whole_range_and_images_do_not_repeat() -> None:
    for split in rotated_digits(digits=[3], max_angle=80).values():
        angles = split.targets[:, 0].numpy()
        assert abs(angles).max() <= 80
        counts = np.histogram(angles, bins=3, range=(-80, 80))[0]
        assert counts.min() > len(angles) / 6
        assert len(np.unique(split.inputs.numpy(), axis=0)) == len(angles)


def test_same_seed_same_pixels_other_seed_other_split() -> None:
    first, again, other = (rotated_digits(digits=[7], size=16, seed=seed) for seed in (0, 0, 1))
    for part in first:
        assert torch.equal(first[part].inputs, again[part].inputs)
        assert torch.equal(first[part].targets, again[part].targets)
    assert list(first["train"].names) != list(other["train"].names)


def test_turning_agrees_with_scipy() -> None:
    split = rotated_digits(digits=[4], size=64)["test"]
    source = load_digits().images
    for i in range(0, len(split), 20):
        index = int(split.names[i].rsplit("-", 1)[1])
        upright = np.pad(ndimage.zoom(np.pad(source[index] / 16, 1), 5.8, order=1), 3)
        turned = ndimage.rotate(upright, float(split.targets[i, 0]), reshape=False, order=1)
        wrong = ndimage.rotate(upright, -float(split.targets[i, 0]), reshape=False, order=1)
        image = np.asarray(split.inputs[i][0], float) / 255
        assert image.shape == turned.shape
        right = np.corrcoef(image.ravel(), turned.ravel())[0, 1]
        assert right > 0.9
        if abs(split.targets[i, 0]) > 20:
            assert right > np.corrcoef(image.ravel(), wrong.ravel())[0, 1] + 0.05


def _orientation(image: torch.Tensor) -> float:
    """Angle of the long axis in degrees, from second moments."""
    weight = image[0].clamp(min=0).double()
    rows, columns = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    rows, columns = rows - (rows * weight).sum() / weight.sum(), columns - (columns * weight).sum() / weight.sum()
    a, b, c = ((p * q * weight).sum() for p, q in ((columns, columns), (rows, columns), (rows, rows)))
    return float(torch.rad2deg(0.5 * torch.atan2(2 * b, a - c)))


def test_augmentation_keeps_the_angle() -> None:
    bar = torch.zeros(1, 32, 32, dtype=torch.uint8)
    bar[:, 13:19, 4:28] = 200  # lies flat, away from the border
    augment = augmented_digit(size=32, min_scale=0.8, noise=0.0)
    torch.manual_seed(0)
    views = [augment(bar) for _ in range(100)]
    assert max(abs(_orientation(view + 1)) for view in views) < 3
    assert torch.stack(views).std(dim=0).max() > 0.1  # and it does change the image
    assert all(view.shape == (1, 32, 32) for view in views)


def test_evaluation_pixels_are_the_images_own() -> None:
    image = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    torch.testing.assert_close(plain_digit()(image), image.float() / 127.5 - 1)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("digits", [11]), ("digits", []), ("max_angle", 0), ("size", 4), ("val_fraction", 0.9), ("eval_angles", 0)],
)
def test_bad_arguments_are_named_at_once(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=argument):
        DigitsDataModule(train_transform=plain_digit(), eval_transform=plain_digit(), batch_size=4, **{argument: value})
