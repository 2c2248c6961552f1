import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from rnc_lightning.metrics import AngularError, GeometricMeanError, regression_metrics
from rnc_lightning.metrics.regression import EpochR2Score, merge_moments
from rnc_lightning.numerics import precision


def computed(metrics):
    return {name: value.item() for name, value in metrics.compute().items()}


def with_sklearn(predictions, targets):
    p, y = (np.asarray(x, dtype=np.float64) for x in (predictions, targets))
    return {
        "mae": mean_absolute_error(y, p),
        "rmse": root_mean_squared_error(y, p),
        "r2": r2_score(y, p),
        "gmean": np.exp(np.log(np.abs(p - y)).mean(axis=0)).mean(),
    }


def random_case(n, d, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    targets = (rng.normal(size=(n, d)) * np.arange(1, d + 1) + offset).astype(np.float32)
    return torch.tensor(targets + rng.normal(size=(n, d)).astype(np.float32) / 2), torch.tensor(targets)


def test_known_values():
    metrics = regression_metrics(1)
    metrics.update(torch.tensor([[2.5], [0.0], [2.0], [8.0]]), torch.tensor([[3.0], [-0.5], [2.0], [7.0]]))
    values = computed(metrics)
    assert values["r2"] == pytest.approx(0.948608, abs=1e-6)
    assert values["mae"] == pytest.approx(0.5)
    assert values["rmse"] == pytest.approx(math.sqrt(0.375))
    metrics = regression_metrics(2)
    metrics.update(
        torch.tensor([[0.0, 2.0], [-1.0, 2.0], [8.0, -5.0]]),
        torch.tensor([[0.5, 1.0], [-1.0, 1.0], [7.0, -6.0]]),
    )
    assert computed(metrics)["r2"] == pytest.approx(0.936800, abs=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_equals_scikit_learn_over_batches_with_a_partial_last_one(d):
    predictions, targets = random_case(61, d)
    metrics = regression_metrics(d)
    for p, y in zip(predictions.split(16), targets.split(16), strict=True):  # the last one holds 13
        metrics(p, y)  # forward, which also looks at the batch alone
    assert computed(metrics) == pytest.approx(with_sklearn(predictions, targets), rel=1e-12)


def test_targets_far_from_zero_keep_their_variance():
    predictions, targets = random_case(500, 1, offset=20000.0)
    metrics = regression_metrics(1)
    for p, y in zip(predictions.split(7), targets.split(7), strict=True):
        metrics.update(p, y)
    expected = r2_score(targets.double().numpy(), predictions.double().numpy())
    assert computed(metrics)["r2"] == pytest.approx(expected, rel=1e-6)


def test_r2_does_not_depend_on_the_unit():
    predictions, targets = (x.double() for x in random_case(30, 1))
    small, large = EpochR2Score(), EpochR2Score()
    small.update(predictions * 1e-6, targets * 1e-6)
    large.update(predictions * 1e6, targets * 1e6)
    assert small.compute().item() == pytest.approx(large.compute().item(), rel=1e-9)
    assert 0.1 < large.compute().item() < 0.99


@pytest.mark.parametrize("constant", [0.0, 0.1, 290.3])
def test_r2_of_a_constant_target(constant):
    y = torch.full((1000, 1), constant)
    right, wrong = EpochR2Score(), EpochR2Score()
    for part in y.split(64):
        right.update(part, part)
        wrong.update(part + 1, part)
    assert (right.compute().item(), wrong.compute().item()) == (1.0, 0.0)


def test_one_sample_gives_nan_for_r2_and_raises_nothing():
    metrics = regression_metrics(2)
    batch = metrics(torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 4.0]]))
    assert math.isnan(batch["r2"].item())
    values = computed(metrics)
    assert math.isnan(values.pop("r2"))
    assert values == pytest.approx({"mae": 1.5, "rmse": 1.5, "gmean": 1.5})
    metrics.update(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 0.0]]))
    assert math.isfinite(computed(metrics)["r2"])


@pytest.mark.parametrize("unit", ["radian", "degree"])
def test_angles_are_added_when_asked_for(unit):
    metrics = regression_metrics(2, angular_unit=unit)
    ten = 10.0 if unit == "degree" else math.radians(10)
    metrics.update(torch.tensor([[0.0, ten]]), torch.zeros(1, 2))
    assert computed(metrics)["angular"] == pytest.approx(10, rel=1e-6)
    assert "angular" not in regression_metrics(2)


def test_every_dimension_beside_the_average():
    predictions, targets = random_case(40, 3)
    metrics = regression_metrics(3, names=["x", "y", "a/b"]).clone(prefix="test/")
    for p, y in zip(predictions.split(16), targets.split(16), strict=True):
        metrics(p, y)
    values = computed(metrics)
    assert len(values) == 16
    for d, name in enumerate(["x", "y", "a/b"]):
        for key, expected in with_sklearn(predictions[:, d : d + 1], targets[:, d : d + 1]).items():
            assert values[f"test/{key}/{name}"] == pytest.approx(expected, rel=1e-12)
    assert values["test/mae"] == pytest.approx(np.mean([values[f"test/mae/{name}"] for name in ("x", "y", "a/b")]))
    assert set(computed(regression_metrics(1, names=["x"]))) == {"mae", "rmse", "r2", "gmean"}


def test_missing_labels_are_ignored_in_their_dimension():
    predictions, targets = random_case(60, 3)
    targets[torch.rand(60, generator=torch.Generator().manual_seed(0)) < 0.4, 0] = math.nan
    targets[:16, 1] = math.nan  # all of the first batch
    targets[:, 2] = math.nan
    metrics = regression_metrics(3, names=["x", "y", "z"])
    for p, y in zip(predictions.split(16), targets.split(16), strict=True):
        metrics(p, y)
    values = computed(metrics)
    for d, name in enumerate(["x", "y"]):
        known = ~targets[:, d].isnan()
        expected = with_sklearn(predictions[known, d : d + 1], targets[known, d : d + 1])
        assert {key: values[f"{key}/{name}"] for key in expected} == pytest.approx(expected, rel=1e-12)
    for key in ("mae", "rmse", "r2", "gmean"):
        assert math.isnan(values[f"{key}/z"])
        assert values[key] == pytest.approx((values[f"{key}/x"] + values[f"{key}/y"]) / 2)
    predictions[0, 0], targets[0, 0] = math.nan, 1.0  # a prediction that is not a number is not a missing label
    metrics.update(predictions, targets)
    assert math.isnan(computed(metrics)["mae/x"])


def test_angles_need_both_labels():
    metrics = regression_metrics(2, angular_unit="degree")
    y = torch.tensor([[0.0, 0.0], [math.nan, 0.0], [0.0, math.nan]])
    metrics.update(torch.tensor([[0.0, 10.0], [0.0, 99.0], [0.0, 99.0]]), y)
    assert computed(metrics)["angular"] == pytest.approx(10, rel=1e-6)


@pytest.mark.parametrize("batch", [1, 7, 100])
@pytest.mark.parametrize(("offset", "spread"), [(1.7e9, 1e4), (1e9, 1.0), (20240113.0, 30.0), (1550.0, 1e-6)])
def test_float64_labels_far_from_zero_keep_their_digits(offset, spread, batch):
    """Unix seconds and dates; around zero the variance was lost, and R2 was that of a constant target."""
    y = offset + spread * torch.randn(100, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p = y + spread / 2
    metrics = regression_metrics(1)
    for part, labels in zip(p.split(batch), y.split(batch), strict=True):
        metrics.update(part, labels)
    values = computed(metrics)
    far = batch > 1 or offset >= 1e5  # from one label alone, the spread is not known
    expected = with_sklearn(p - offset, y - offset)
    assert values["mae"] == pytest.approx(expected["mae"], rel=1e-6)
    assert values["r2"] == pytest.approx(expected["r2"], rel=1e-5) or not far


def test_moments_of_parts_with_other_shifts_are_those_of_the_whole():
    y = 1e9 + torch.arange(12, dtype=torch.float64)[:, None]
    parts = [EpochR2Score() for _ in range(3)]
    for part, labels in zip(parts, (y[:5], y[5:], y[:0]), strict=True):  # a process without samples
        part.update(labels + 1, labels)
    whole = EpochR2Score()
    whole.counts = sum(part.counts for part in parts)
    whole.moments = merge_moments(torch.stack([parts[2].moments, parts[0].moments, parts[1].moments]))
    assert whole.compute().item() == pytest.approx(r2_score(y - 1e9, y + 1 - 1e9), rel=1e-9)


def test_clones_with_a_prefix_are_apart():
    metrics = regression_metrics(1)
    val, test = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
    val.update(torch.ones(3, 1), torch.zeros(3, 1))
    test.update(torch.full((3, 1), 2.0), torch.zeros(3, 1))
    assert val.compute()["val/mae"].item() == 1
    assert test.compute()["test/mae"].item() == 2
    val.reset()
    val.update(torch.full((1, 1), 5.0), torch.zeros(1, 1))
    assert val.compute()["val/mae"].item() == 5
    assert val.compute()["val/mae"].dtype == torch.float64


def test_half_precision_of_the_module_leaves_the_sums_alone():
    metrics = torch.nn.ModuleDict({"m": regression_metrics(1)}).to(torch.bfloat16)["m"]
    predictions, targets = random_case(50, 1)
    metrics.update(predictions, targets)
    assert computed(metrics) == pytest.approx(with_sklearn(predictions, targets), rel=1e-12)


def test_a_device_without_float64_gets_float32(monkeypatch):
    monkeypatch.setattr(precision, "_WITHOUT_FLOAT64", {"meta"})
    metrics = regression_metrics(2, angular_unit="radian")
    metrics.to("meta")
    states = [getattr(m, name) for m in metrics.values() for name in m._defaults]
    assert {state.device.type for state in states} == {"meta"}
    assert torch.float64 not in {state.dtype for state in states}
    assert GeometricMeanError().sum_log.dtype == AngularError().sum_degrees.dtype == torch.float64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((0,), "num_targets"), ((1, "radian"), "num_targets=2"), ((2, "turn"), "unit"), ((2, None, ["x", "x"]), "names")],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        regression_metrics(*arguments)
