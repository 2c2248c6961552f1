import math

import numpy as np
import pytest
import torch
from scipy.stats import gmean

from rnc_lightning.metrics import GeometricMeanError, geometric_mean_error


@pytest.mark.parametrize(("errors", "expected"), [((1.0, 4.0), 2.0), ((2.0, 8.0, 4.0), 4.0)])
def test_known_values(errors, expected):
    e = torch.tensor(errors)
    assert geometric_mean_error(e, torch.zeros_like(e)).item() == pytest.approx(expected, rel=1e-12)
    assert geometric_mean_error(-e, torch.zeros_like(e)).item() == pytest.approx(expected, rel=1e-12)


def test_exact_zeros_count_as_the_floor_and_nothing_else_does():
    errors = torch.tensor([0.0, 1e-12, 4.0])
    expected = math.exp((math.log(1e-10) + math.log(float(errors[1])) + math.log(4.0)) / 3)
    assert geometric_mean_error(errors, torch.zeros(3)).item() == pytest.approx(expected, rel=1e-12)
    assert geometric_mean_error(errors, torch.zeros(3), zero_floor=0).item() == 0.0


def test_batches_give_the_whole_for_two_dimensions():
    rng = np.random.default_rng(0)
    predictions, targets = rng.normal(size=(2, 23, 2)).astype(np.float32)
    metric = GeometricMeanError(num_outputs=2)
    for start in range(0, 23, 8):  # 8, 8, 7
        part = slice(start, start + 8)
        metric.update(torch.tensor(predictions[part]), torch.tensor(targets[part]))
    errors = np.abs(predictions.astype(np.float64) - targets)
    assert metric.compute().item() == pytest.approx(gmean(errors, axis=0).mean(), rel=1e-12)
    metric.reset()
    metric.update(torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2))
    assert metric.compute().item() == pytest.approx(1.5)


def test_many_small_batches_do_not_lose_precision():
    metric = GeometricMeanError()
    for _ in range(3000):
        metric.update(torch.tensor([3.0]), torch.tensor([2.9]))
    expected = float(torch.tensor(3.0).double() - torch.tensor(2.9).double())
    assert metric.compute().item() == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: geometric_mean_error(torch.zeros(3), torch.zeros(3, 1)), "predictions and targets"),
        (lambda: geometric_mean_error(torch.zeros(3), torch.zeros(3), zero_floor=-1), "zero_floor"),
        (lambda: GeometricMeanError(num_outputs=0), "num_outputs"),
        (lambda: GeometricMeanError(zero_floor=math.nan), "zero_floor"),
        (lambda: GeometricMeanError().update(torch.ones(3, 2), torch.zeros(3, 2)), "num_outputs"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
