import math

import pytest
import torch

from rnc_lightning.targets.distances import (
    angular_degrees_distance,
    angular_distance,
    gaze_vectors,
    l1_distance,
    l2_distance,
    resolve_target_distance,
)

ALL = (l1_distance, l2_distance, angular_distance, angular_degrees_distance)


def random_targets(rows: int, dims: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, dims, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_l1_and_l2_against_plain_arithmetic(dims: int) -> None:
    a, b = random_targets(6, dims), random_targets(4, dims, seed=1)
    for i in range(6):
        for j in range(4):
            differences = [x - y for x, y in zip(a[i].tolist(), b[j].tolist(), strict=True)]
            assert l1_distance(a, b)[i, j].item() == pytest.approx(sum(map(abs, differences)), rel=1e-14)
            assert l2_distance(a, b)[i, j].item() == pytest.approx(math.hypot(*differences), rel=1e-14)


def test_gaze_vectors_are_unit_and_follow_the_convention() -> None:
    pitch_yaw = random_targets(50, 2)
    vectors = gaze_vectors(pitch_yaw)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(50, dtype=torch.float64))
    for (pitch, yaw), vector in zip(pitch_yaw.tolist(), vectors.tolist(), strict=True):
        expected = (
            -math.cos(pitch) * math.sin(yaw),
            -math.sin(pitch),
            -math.cos(pitch) * math.cos(yaw),
        )
        assert vector == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    ("first", "second", "degrees"),
    [
        ((0, 0), (0, 10), 10.0),
        ((30, 0), (0, 30), 41.409622),
        ((60, 0), (60, 90), 41.409622),
        ((10, 20), (-5, 25), 15.805344),
        ((0, 0), (0, 180), 180.0),
        ((0, 0), (0, 1e-5), 1e-5),  # arccos of a clipped cosine would give 0.026 degrees at the least
    ],
)
def test_angular_distance_known_values(first: tuple, second: tuple, degrees: float) -> None:
    a, b = (torch.tensor([row], dtype=torch.float64) for row in (first, second))
    assert angular_degrees_distance(a, b).item() == pytest.approx(degrees, rel=1e-7)
    radians = angular_distance(torch.deg2rad(a), torch.deg2rad(b)).item()
    assert math.degrees(radians) == pytest.approx(degrees, rel=1e-7)


@pytest.mark.parametrize("distance", ALL)
def test_symmetric_and_exactly_zero_for_equal_rows(distance) -> None:
    a = random_targets(37, 2)
    a[20:] = a[:17]
    between = distance(a, a)
    assert torch.equal(between.diagonal(), torch.zeros(37, dtype=torch.float64))
    assert torch.equal(between[:17, 20:].diagonal(), torch.zeros(17, dtype=torch.float64))
    torch.testing.assert_close(between, between.T, rtol=1e-15, atol=0)
    assert (between[:17, :17] + torch.eye(17) > 0).all()


@pytest.mark.parametrize("distance", [l1_distance, l2_distance])
def test_the_same_numbers_give_the_same_distance_anywhere(distance) -> None:
    a = random_targets(1, 3)
    b = random_targets(1, 3, seed=1).expand(101, 3)
    assert distance(a, b).unique().numel() == 1
    assert torch.equal(distance(a, b).T, distance(b, a))


def test_names_resolve_and_callables_pass() -> None:
    assert [resolve_target_distance(name) for name in ("l1", "l2", "angular", "angular_degrees")] == list(ALL)

    def own(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return l1_distance(a, b)

    assert resolve_target_distance(own) is own


@pytest.mark.parametrize("bad", ["manhattan", "", None, 3])
def test_unknown_name_lists_the_known_ones(bad) -> None:
    with pytest.raises(ValueError, match="target_distance must be one of 'l1', 'l2', 'angular', 'angular_degrees'"):
        resolve_target_distance(bad)


def test_angular_distance_wants_two_columns() -> None:
    with pytest.raises(ValueError, match="targets must have 2 columns"):
        angular_distance(torch.zeros(3, 1), torch.zeros(3, 1))
