import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from rnc_lightning.metrics import angular_error, neighbours_error, ridge_error
from rnc_lightning.metrics.probes import PENALTIES


def _samples(n: int, features: int, dims: int, noise: float, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(2 * n, features, generator=draw) * torch.logspace(-1, 2, features) + 5
    weights = torch.randn(features, dims, generator=draw) / torch.logspace(-1, 2, features)[:, None]
    y = x @ weights * torch.logspace(0, 3, dims) + noise * torch.randn(2 * n, dims, generator=draw) + 100
    return x[:n], y[:n], x[n:], y[n:]


def _by_sklearn(x: Tensor, y: Tensor, x_new: Tensor, y_new: Tensor) -> float:
    inputs, outputs = StandardScaler().fit(x.double()), StandardScaler().fit(y.double())
    ridge = RidgeCV(alphas=np.array(PENALTIES) * len(x)).fit(
        inputs.transform(x.double()), outputs.transform(y.double())
    )
    predicted = ridge.predict(inputs.transform(x_new.double())).reshape(len(x_new), -1)
    return float(np.abs(outputs.inverse_transform(predicted) - y_new.double().numpy()).mean())


@pytest.mark.parametrize("noise", [0.01, 3.0, 1000.0])
@pytest.mark.parametrize(("n", "features", "dims"), [(60, 8, 1), (60, 8, 3), (20, 50, 2)])
def test_ridge_is_that_of_scikit_learn(n: int, features: int, dims: int, noise: float) -> None:
    samples = _samples(n, features, dims, noise)
    assert ridge_error(*samples) == pytest.approx(_by_sklearn(*samples), rel=1e-6)


@pytest.mark.parametrize("neighbours", [1, 7, 60, 1000])
@pytest.mark.parametrize("dims", [1, 3])
def test_neighbours_are_those_of_scikit_learn(neighbours: int, dims: int) -> None:
    x, y, x_new, y_new = _samples(60, 4, dims, 1.0)
    oracle = KNeighborsRegressor(min(neighbours, 60)).fit(x.double(), y.double())
    expected = np.abs(oracle.predict(x_new.double()) - y_new.double().numpy()).mean()
    assert neighbours_error(x, y, x_new, y_new, neighbours) == pytest.approx(expected, rel=1e-9)


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


def test_what_does_not_fit_is_refused() -> None:
    x, y, x_new, y_new = _samples(5, 3, 1, 1.0)
    for error in (ridge_error, neighbours_error):
        with pytest.raises(ValueError, match="features must be"):
            error(x, y[:4], x_new, y_new)
        with pytest.raises(ValueError, match="at least one sample"):
            error(x, y, x_new[:0], y_new[:0])
    with pytest.raises(ValueError, match="neighbours must be at least 1"):
        neighbours_error(x, y, x_new, y_new, 0)
