import math

import pytest
import torch

from rnc_lightning.metrics import AngularError, angular_error


def slow_angle(a, b):
    """Degrees between two (pitch, yaw) pairs in radians, by the arc cosine."""
    vectors = [(-math.cos(p) * math.sin(y), -math.sin(p), -math.cos(p) * math.cos(y)) for p, y in (a, b)]
    dot = sum(x * y for x, y in zip(*vectors, strict=True))
    return math.degrees(math.acos(max(-1.0, min(1.0, dot))))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ((0, 0), (0, 10), 10.0),
        ((30, 0), (0, 30), 41.409622),
        ((60, 0), (60, 90), 41.409622),
        ((10, 20), (-5, 25), 15.805344),
        ((0, 0), (0, 180), 180.0),
    ],
)
def test_known_values(a, b, expected):
    a, b = (torch.tensor([x], dtype=torch.float64) for x in (a, b))
    for u, v in ((a, b), (b, a)):
        assert angular_error(u, v, unit="degree").item() == pytest.approx(expected, abs=1e-6)
        assert angular_error(torch.deg2rad(u), torch.deg2rad(v)).item() == pytest.approx(expected, abs=1e-6)


def test_small_angles_are_not_floored():
    a = torch.tensor([[0.3, 0.2]], dtype=torch.float64)
    assert angular_error(a, a).item() < 1e-12
    shifted = a + torch.tensor([[1e-9, 0.0]], dtype=torch.float64)
    assert angular_error(a, shifted).item() == pytest.approx(math.degrees(1e-9), rel=1e-6)


def test_each_sample_and_batches_against_a_slow_reference():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(2, 11, 2, generator=generator, dtype=torch.float64) * 2 - 1
    slow = [slow_angle(x.tolist(), y.tolist()) for x, y in zip(a, b, strict=True)]
    assert angular_error(a, b, reduction="none").tolist() == pytest.approx(slow, rel=1e-9)
    metric = AngularError()
    for x, y in zip(a.split(4), b.split(4), strict=True):  # 4, 4, 3
        metric.update(x, y)
    assert metric.compute().item() == pytest.approx(sum(slow) / 11, rel=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AngularError(unit="rad"), "unit"),
        (lambda: angular_error(torch.zeros(1, 2), torch.zeros(1, 2), unit="turn"), "unit"),
        (lambda: angular_error(torch.zeros(1, 2), torch.zeros(1, 2), reduction="sum"), "reduction"),
        (lambda: angular_error(torch.zeros(4, 3), torch.zeros(4, 3)), r"\(B, 2\)"),
        (lambda: AngularError().update(torch.zeros(4, 2), torch.zeros(1, 2)), r"\(B, 2\)"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()
