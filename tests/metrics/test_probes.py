import math

import numpy as np
import pytest
import torch
from torch import Tensor

from rnc_lightning.metrics import angular_error, neighbours_error, ridge_error
from rnc_lightning.metrics.probes import PENALTIES


def _samples(n: int, features: int, dims: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2 * n, features, generator=draw) * torch.logspace(-1, 2, features) + 5
    weights = torch.randn(features, dims, generator=draw) / torch.logspace(-1, 2, features)[:, None]
    y = x @ weights * torch.logspace(0, 3, dims) + noise * torch.randn(2 * n, dims, generator=draw) + 100
    return x[:n], y[:n], x[n:], y[n:]


def _standardised(values: np.ndarray, by: np.ndarray) -> np.ndarray:
    return (values - by.mean(axis=0)) / by.std(axis=0)


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float, x_new: np.ndarray) -> np.ndarray:
    """Least squares with an intercept that has no penalty."""
    centre, level = x.mean(axis=0), y.mean(axis=0)
    moments = (x - centre).T @ (x - centre) + penalty * np.eye(x.shape[1])
    return (x_new - centre) @ np.linalg.solve(moments, (x - centre).T @ (y - level)) + level


def _ridge_by_definition(*samples: Tensor) -> float:
    """Every penalty is tried by fitting again without each of the samples."""
    x, y, x_new, y_new = (part.double().numpy() for part in samples)
    a, b, everyone = _standardised(x, x), _standardised(y, y), np.arange(len(x))

    def left_out_error(penalty: float) -> float:
        parts = [(everyone != i, everyone == i) for i in everyone]
        return float(np.mean([(_ridge(a[kept], b[kept], penalty, a[out]) - b[out]) ** 2 for kept, out in parts]))

    best = min((penalty * len(x) for penalty in PENALTIES), key=left_out_error)
    predicted = _ridge(a, b, best, _standardised(x_new, x)) * y.std(axis=0) + y.mean(axis=0)
    return float(np.abs(predicted - y_new).mean())


def _neighbours_by_definition(neighbours: int, *samples: Tensor) -> float:
    x, y, x_new, y_new = (part.double().numpy() for part in samples)
    nearest = [sorted(range(len(x)), key=lambda i: math.dist(x[i], place))[:neighbours] for place in x_new]
    return float(
        np.mean([np.abs(y[chosen].mean(axis=0) - truth) for chosen, truth in zip(nearest, y_new, strict=True)])
    )


@pytest.mark.parametrize("noise", [0.01, 3.0, 1000.0])
@pytest.mark.parametrize(("n", "features", "dims"), [(60, 8, 1), (60, 8, 3), (20, 50, 2)])
def test_ridge_follows_its_definition(n: int, features: int, dims: int, noise: float) -> None:
    samples = _samples(n, features, dims, noise)
    assert ridge_error(*samples) == pytest.approx(_ridge_by_definition(*samples), rel=1e-6)


@pytest.mark.parametrize("neighbours", [1, 7, 60, 1000])
@pytest.mark.parametrize("dims", [1, 3])
def test_neighbours_follow_their_definition(neighbours: int, dims: int) -> None:
    samples = _samples(60, 4, dims, 1.0)
    assert neighbours_error(*samples, neighbours) == pytest.approx(
        _neighbours_by_definition(neighbours, *samples), rel=1e-9
    )


def test_what_rounding_leaves_of_a_constant_is_no_feature() -> None:
    x, y, x_new, y_new = _samples(20, 3, 1, 1.0)
    rounding = torch.full((20, 1), 0.1) * (1 + 1e-7 * (torch.arange(20) % 2)[:, None])
    assert ridge_error(torch.cat([x, rounding], 1), y, torch.cat([x_new, rounding + 1], 1), y_new) == pytest.approx(
        ridge_error(x, y, x_new, y_new)
    )


def test_constant_features_predict_the_mean() -> None:
    _, y, _, y_new = _samples(20, 3, 2, 1.0)
    same = torch.full((20, 3), 0.1)
    expected = float((y_new.double() - y.double().mean(dim=0)).abs().mean())
    assert ridge_error(same, y, same, y_new) == pytest.approx(expected)
    assert ridge_error(same, y, same + 50, y_new) == pytest.approx(expected)  # of no use where they varied only later
    assert neighbours_error(same, y, same, y_new, 20) == pytest.approx(expected)


def test_equal_labels_are_predicted() -> None:
    x, _, x_new, _ = _samples(20, 3, 1, 1.0)
    label = torch.full((20, 1), 7.3)
    assert ridge_error(x, label, x_new, label + 2) == pytest.approx(2, rel=1e-5)
    assert neighbours_error(x, label, x_new, label + 2) == pytest.approx(2, rel=1e-5)


def test_one_sample_to_fit_to_is_enough() -> None:
    x, y, x_new, y_new = _samples(5, 3, 1, 1.0)
    expected = float((y_new - y[:1]).abs().mean())
    assert ridge_error(x[:1], y[:1], x_new, y_new) == pytest.approx(expected, rel=1e-5)
    assert neighbours_error(x[:1], y[:1], x_new, y_new) == pytest.approx(expected, rel=1e-5)


def test_half_precision_is_widened_before_anything_is_summed() -> None:
    x, y, x_new, y_new = _samples(60, 4, 1, 1.0)
    x, x_new = (100 * x).half(), (100 * x_new).half()  # squares would overflow
    assert torch.isfinite(x).all()
    wide = (x.double(), y, x_new.double(), y_new)
    assert ridge_error(x, y, x_new, y_new) == pytest.approx(ridge_error(*wide))
    assert neighbours_error(x, y, x_new, y_new) == pytest.approx(neighbours_error(*wide))


def test_gaze_is_measured_as_an_angle() -> None:
    x, _, x_new, _ = _samples(20, 3, 2, 1.0)
    y, y_new = x[:, :2] / 50, x_new[:, :2] / 50
    same = torch.zeros(20, 3)
    expected = float(angular_error(y.mean(dim=0, keepdim=True).expand(20, 2), y_new))
    assert ridge_error(same, y, same, y_new, "radian") == pytest.approx(expected, rel=1e-5)
    assert neighbours_error(same, y, same, y_new, 20, "radian") == pytest.approx(expected, rel=1e-5)


def test_what_is_not_finite_is_nan_and_never_an_error() -> None:
    samples = _samples(20, 3, 1, 1.0)
    samples[0][3, 1] = math.inf
    assert math.isnan(ridge_error(*samples))
    assert math.isnan(neighbours_error(*samples))


def test_samples_with_a_missing_label_are_ignored() -> None:
    x, y, x_new, y_new = _samples(20, 3, 2, 1.0)
    expected = ridge_error(x[2:], y[2:], x_new[1:], y_new[1:]), neighbours_error(x[2:], y[2:], x_new[1:], y_new[1:])
    y[0, 0] = y[1, 1] = y_new[0, 0] = math.nan
    assert (ridge_error(x, y, x_new, y_new), neighbours_error(x, y, x_new, y_new)) == expected
    assert math.isnan(ridge_error(x, y * math.nan, x_new, y_new))


def test_what_does_not_fit_is_refused() -> None:
    x, y, x_new, y_new = _samples(5, 3, 1, 1.0)
    for error in (ridge_error, neighbours_error):
        with pytest.raises(ValueError, match="features must be"):
            error(x, y[:4], x_new, y_new)
        with pytest.raises(ValueError, match="at least one sample"):
            error(x, y, x_new[:0], y_new[:0])
    with pytest.raises(ValueError, match="neighbours must be a whole number from 1 up"):
        neighbours_error(x, y, x_new, y_new, 0)
