"""How labels become the numbers that a model sees, and back."""

import math
from dataclasses import asdict

import pytest
import torch
from torch import Tensor

from rnc_lightning.objectives import RnCLoss
from rnc_lightning.targets import TargetDimension, TargetSpec
from rnc_lightning.targets.resolution import label_resolution


def _labels(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_labels_are_seen_with_mean_zero_and_deviation_one() -> None:
    labels = 350_000 + 100_000 * torch.randn(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spec = TargetSpec({"price": {"step": None}}, standardize=True).fitted(labels)
    seen = spec.to_model(labels)
    assert seen.mean().item() == pytest.approx(0, abs=1e-12)
    assert seen.std(unbiased=False).item() == pytest.approx(1)
    torch.testing.assert_close(spec.to_labels(seen), labels, rtol=1e-14, atol=0)
    assert spec.to_labels(seen.float()).dtype == torch.float64


def test_without_scaling_labels_are_the_same_tensor() -> None:
    labels = torch.tensor([[20.0], [30.0]])
    spec = TargetSpec({"age": {}}).fitted(labels)
    assert spec.to_model(labels) is labels
    assert spec.to_labels(labels) is labels
    assert spec.in_model_units() is spec


@pytest.mark.parametrize("transform", [None, "log"])
def test_bins_are_the_same_ones_for_the_model(transform: str | None) -> None:
    labels = 10 + 90 * torch.rand(500, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spec = TargetSpec({"y": {"step": None}}, standardize=True, transform=transform).fitted(labels)
    model = spec.in_model_units()
    assert model.grids[0].count == spec.grids[0].count
    if transform is None:
        torch.testing.assert_close(model.bins(spec.to_model(labels)), spec.bins(labels))
    centres = spec.to_labels(model.grids[0].centres(like=labels)[:, None])
    lowest = labels.min(dim=0).values
    torch.testing.assert_close(centres[0], lowest.floor() if transform is None else lowest)


def test_a_fitted_target_survives_its_json() -> None:
    labels = _labels(1.0, 2.0, 4.0)[:, None]
    spec = TargetSpec({"y": {"step": None}}, standardize=True).fitted(labels)
    again = TargetSpec({name: asdict(dimension) for name, dimension in spec.dimensions.items()})
    torch.testing.assert_close(again.to_model(labels), spec.to_model(labels), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (_labels(7.0, 7.0), {}, "all 2 training labels are 7: nothing to learn"),
        (_labels(1e9 + 0.1, 1e9 + 0.1), {}, "nothing to learn"),
        (_labels(math.nan, math.nan), {}, "no training sample has a label"),
        (_labels(0.0, 2.0), {"transform": "log"}, "labels above 0"),
        (_labels(1.0, 2.0), {"low": -1.0, "transform": "log"}, "low must be above 0"),
        (_labels(1.0, 2.0), {"transform": "sqrt"}, "log or null"),
        (_labels(1.0, 2.0), {"weight": 0.0}, "weight must be a positive number"),
    ],
)
def test_what_cannot_be_scaled_is_refused(labels: Tensor, settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TargetSpec({"y": settings}, standardize=True).fitted(labels[:, None])


@pytest.mark.parametrize(
    "labels",
    [
        _labels(20240113, 20240114, 20240115),  # dates
        _labels(1.7e9, 1.7e9 + 3600, 1.7e9 + 90000),  # unix seconds
        1e9 + torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0)),
    ],
    ids=["dates", "unix seconds", "a large offset"],
)
def test_labels_that_lose_digits_in_float32_need_standardisation(labels: Tensor) -> None:
    raw = TargetSpec({"y": {}}).fitted(labels[:, None])
    with pytest.raises(ValueError, match=r"dimensions\.y: .* set target\.standardize=true"):
        raw.check_float32(labels[:, None])
    TargetSpec({"y": {}}, standardize=True).fitted(labels[:, None]).check_float32(labels[:, None])


@pytest.mark.parametrize("labels", [torch.arange(0.0, 101.0), torch.arange(-200, 490) / 10, torch.rand(50) * 360])
def test_labels_of_the_paper_keep_their_digits(labels: Tensor) -> None:
    for column in (labels.float(), labels.double()):
        TargetSpec({"y": {}}).fitted(column[:, None]).check_float32(column[:, None])


@pytest.mark.parametrize("type_", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (torch.arange(101.0), 1.0),
        (torch.tensor([-201, -7, 0, 3, 250, 489]) / 10, 0.1),
        (torch.tensor([0.0, 2.0, 5.0, 9.0]), 1.0),  # no two are 1 apart
        (2000 + torch.arange(40) / 4, 0.25),
        (torch.randn(1000, generator=torch.Generator().manual_seed(0)), None),
        (torch.full((3,), 5.0), None),
    ],
)
def test_labels_that_are_multiples_of_a_number(labels: Tensor, expected: float | None, type_: torch.dtype) -> None:
    found = label_resolution(labels.to(type_))
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("type_", [torch.float32, torch.float64])
def test_tenths_tie_exactly(type_: torch.dtype, standardize: bool) -> None:
    """The floor of RnC's loss on labels in tenths is that on whole numbers."""
    tenths = torch.randint(-200, 490, (256, 1), generator=torch.Generator().manual_seed(0))
    exact = RnCLoss().floor(tenths.double(), views=2)
    labels = (tenths.double() / 10).to(type_)
    spec = TargetSpec({"temperature": {}}, standardize=standardize).fitted(labels)
    loss = RnCLoss(tie_tolerance=None)
    loss.use_target(spec.for_distances())
    torch.testing.assert_close(loss.floor(spec.distance_labels(labels), views=2), exact, rtol=1e-12, atol=0)
    assert abs(RnCLoss().floor(labels, views=2) - exact) > 0.01


def test_labels_with_many_digits_tie_only_when_equal() -> None:
    labels = torch.rand(100, 1, generator=torch.Generator().manual_seed(0))
    assert TargetSpec({"y": {}}).fitted(labels).tie_tolerance == 0


def test_missing_labels_are_left_out_of_the_fit() -> None:
    labels = torch.tensor([[1.0, math.nan], [3.0, 10.0], [math.nan, 30.0]], dtype=torch.float64)
    spec = TargetSpec({"a": {}, "b": {}}, standardize=True).fitted(labels)
    assert spec.partial
    assert [(d.low, d.high, d.centre) for d in spec.dimensions.values()] == [(1.0, 3.0, 2.0), (10.0, 30.0, 20.0)]


def test_angles_keep_their_unit_in_distances() -> None:
    labels = torch.rand(9, 2, dtype=torch.float64)
    spec = TargetSpec({"pitch": {}, "yaw": {}}, "angular", standardize=True).fitted(labels)
    assert spec.distance_labels(labels) is labels
    assert spec.for_distances() is spec


def test_an_explicit_centre_and_scale_are_kept() -> None:
    dimension = TargetDimension(centre=100.0, scale=10.0).fitted(_labels(90.0, 120.0), standardize=True)
    assert dimension.to_model(_labels(90.0, 120.0)).tolist() == [-1.0, 2.0]
