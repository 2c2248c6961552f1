import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

from rnc_lightning.targets import Grid, TargetDimension, TargetSpec
from rnc_lightning.targets.dimension import MOST_BINS

TWO = TargetSpec({"pitch": {"low": -1.0, "high": 1.0, "step": 0.25}, "yaw": {"low": 0, "high": 10, "step": 2.5}})


def column(*labels: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(labels, dtype=dtype)[:, None]


def nearest(label: float, centres: list[Fraction]) -> int:
    """Index of the centre nearest to the label in exact arithmetic; of two equally near, the upper one."""
    return min(range(len(centres)), key=lambda k: (abs(Fraction(label) - centres[k]), -k))


def exact_centres(grid: Grid) -> list[Fraction]:
    return [Fraction(str(grid.low)) + k * Fraction(str(grid.step)) for k in range(grid.count)]


def clear(label: float, centres: list[Fraction]) -> bool:
    """Whether the label is an exact tie, or too far from one for rounding to matter."""
    first, second = sorted(abs(Fraction(label) - centre) for centre in centres)[:2]
    return first == second or second - first > 1e-9


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0, 100, 1), (-40, 46, 2), (-1.5, 1.5, 0.1), (-0.7, 0.65, 0.05), (3, 10, 0.7), (-180, 180, 3), (1e5, 1e5 + 30, 1)],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bins_are_the_nearest_centres(low: float, high: float, step: float, dtype: torch.dtype) -> None:
    grid = TargetDimension(low=low, high=high, step=step).grid
    uniform = torch.rand(150, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = (low - 3 * step + (high - low + 6 * step) * uniform).to(dtype)
    centres = exact_centres(grid)
    assert all(clear(label, centres) for label in labels.tolist())
    assert grid.bins(labels).tolist() == [nearest(label, centres) for label in labels.tolist()]


@pytest.mark.parametrize(("low", "step", "count"), [(-2, 0.25, 17), (-7, 1, 15), (-33, 3, 23), (-0.5, 0.125, 9)])
def test_halfway_goes_up_at_negative_labels_too(low: float, step: float, count: int) -> None:
    grid = Grid(low, step, count)
    ties = torch.tensor([low + (k + 0.5) * step for k in range(-3, count + 3)])  # exact, as all steps are dyadic
    assert grid.bins(ties).tolist() == [min(max(k + 1, 0), count - 1) for k in range(-3, count + 3)]
    assert grid.bins(ties).tolist() == [nearest(tie, exact_centres(grid)) for tie in ties.tolist()]


def test_halfway_does_not_go_to_even() -> None:
    assert TargetSpec({"age": {"low": 0, "high": 9}}).bins(column(0.5, 1.5, 2.5, 3.5)).flatten().tolist() == [
        1,
        2,
        3,
        4,
    ]


def test_labels_below_the_grid_are_not_cut_towards_zero() -> None:
    assert Grid(-5, 1, 11).bins(torch.tensor([-5.4, -4.6, -1.4, -0.6, -0.4, 0.4])).tolist() == [0, 0, 4, 4, 5, 5]


def test_labels_outside_count_as_the_ends() -> None:
    grid = Grid(-1.0, 0.25, 9)
    far = torch.tensor([-1e30, -1.2, 1.2, 1e30, -math.inf, math.inf])
    assert grid.bins(far).tolist() == [0, 0, 8, 8, 0, 8]
    assert grid.clamp(far).tolist() == [-1.0, -1.0, 1.0, 1.0, -1.0, 1.0]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64])
def test_labels_of_any_type_are_binned_as_the_numbers_they_are(dtype: torch.dtype) -> None:
    labels = torch.tensor([-9, -2, -1, 0, 1, 3, 9]).to(dtype)
    bins = Grid(-2.0, 0.5, 11).bins(labels)
    assert bins.dtype == torch.int64
    assert bins.tolist() == [0, 0, 2, 4, 6, 10, 10]
    assert Grid(-2.0, 0.5, 11).clamp(labels).double().tolist() == [-2, -2, -1, 0, 1, 3, 3]


@pytest.mark.parametrize("step", [0.1, 0.2, 0.3, 0.05, 0.01, 1 / 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_centre_has_its_own_bin_whatever_the_rounding(step: float, dtype: torch.dtype) -> None:
    for low in (-1.5, 0.0, 0.1, 7.3):
        grid = Grid(low, step, 60)
        centres = grid.centres(torch.zeros(0, dtype=dtype))
        assert grid.bins(centres).tolist() == list(range(60))
        decimals = torch.tensor([round(low + k * step, 6) for k in range(60)], dtype=dtype)
        assert grid.bins(decimals).tolist() == list(range(60))


def test_many_labels_are_binned_as_each_alone() -> None:
    labels = 8 * torch.randn(20_000, 2, generator=torch.Generator().manual_seed(0))
    expected = [
        [
            min(max(math.floor((pitch + 1.0) / 0.25 + 0.5), 0), 8),
            min(max(math.floor(yaw / 2.5 + 0.5), 0), 4),
        ]
        for pitch, yaw in labels.tolist()
    ]
    assert TWO.bins(labels).tolist() == expected


def test_each_dimension_has_its_own_grid() -> None:
    assert TWO.grids == [Grid(-1.0, 0.25, 9), Grid(0, 2.5, 5)]
    assert TWO.bins(torch.tensor([[-1.0, 10.0], [0.3, 3.8], [5.0, -5.0]])).tolist() == [[0, 4], [5, 2], [8, 0]]


def test_centres_values_and_bins_agree() -> None:
    grid = Grid(-1.0, 0.5, 5)
    assert grid.high == 1.0
    assert grid.centres().tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    assert grid.value(torch.tensor([0.0, 2.5, 4.0])).tolist() == [-1.0, 0.25, 1.0]
    for dtype in (torch.float16, torch.float32, torch.float64):
        assert grid.centres(torch.zeros(0, dtype=dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("low", "high", "step", "count"),
    [
        (0, 100, 1, 101),
        (0, 10, 3, 5),  # 0 3 6 9 12
        (0, 9, 3, 4),
        (0, 0.5, 1, 2),
        (-1.5, 1.5, 0.1, 31),
        (0, 0.3, 0.1, 4),  # 0.3 / 0.1 is below 3
        (0, 0.7, 0.1, 8),
        (1, 5, 0.1, 41),
        (0, 1, 1 / 3, 4),
        (-180, 180, 4, 91),
        (-42, 42, 4, 22),
    ],
)
def test_the_last_centre_is_the_first_that_reaches_the_end(low: float, high: float, step: float, count: int) -> None:
    grid = TargetDimension(low=low, high=high, step=step).grid
    assert grid.count == count
    assert grid.high >= high - 1e-9
    assert grid.high - step < high - 1e-9


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ({}, -3.0, 8.0),
        ({"step": 2.0}, -4.0, 8.0),
        ({"step": 5.0}, -5.0, 10.0),
        ({"step": 0.5}, -2.5, 7.5),
        ({"low": 0.0}, 0.0, 8.0),
        ({"low": -10.5, "step": 4.0}, -10.5, 8.0),
        ({"high": 7.0}, -3.0, 7.0),
        ({"high": 20.0}, -3.0, 20.0),
        ({"low": 0.0, "high": 5.0}, 0.0, 5.0),
    ],
)
def test_open_ends_are_closed_by_the_labels(given: dict[str, Any], low: float, high: float) -> None:
    fitted = TargetDimension(**given, unit="m").fitted(torch.tensor([3.0, -2.5, 7.2, 0.0]))
    assert (fitted.low, fitted.high) == (low, high)
    assert (fitted.unit, fitted.step) == ("m", given.get("step", 1.0))


@pytest.mark.parametrize("given", [{}, {"low": 5.0}, {"high": 5.0}, {"low": 4.0}, {"high": 6.0}])
def test_constant_labels_still_make_two_bins_or_more(given: dict[str, Any]) -> None:
    fitted = TargetSpec({"age": given}).fitted(column(5.0, 5.0, 5.0))
    (grid,) = fitted.grids
    assert grid.count >= 2
    assert 5.0 in grid.centres().tolist()
    assert fitted.count_outside(column(5.0)) == {}


def test_labels_all_beyond_the_given_end_leave_one_step_of_range() -> None:
    (above,) = TargetSpec({"age": {"high": 5.0, "step": 2.0}}).fitted(column(7.0, 9.0)).grids
    (below,) = TargetSpec({"age": {"low": 5.0, "step": 2.0}}).fitted(column(1.0, 3.0)).grids
    assert (above, below) == (Grid(3.0, 2.0, 2), Grid(5.0, 2.0, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize("step", [0.1, 0.25, 1.0, 3.0])
def test_a_fitted_range_holds_every_label_and_little_more(step: float, dtype: torch.dtype) -> None:
    for seed in range(20):
        labels = (20 * torch.randn(30, 2, generator=torch.Generator().manual_seed(seed))).to(dtype)
        fitted = TargetSpec({"a": {"step": step}, "b": {"step": step, "low": -1.0}}).fitted(labels)
        assert "a" not in fitted.count_outside(labels)
        first, second = fitted.grids
        least, greatest = labels.double().min(dim=0).values, labels.double().max(dim=0).values
        assert first.low > least[0] - step - 1e-9
        assert first.high < greatest[0] + step + 1e-9
        assert second.low == -1.0
        assert second.high < greatest[1] + 2 * step + 1e-9
        assert (fitted.bins(labels) >= 0).all()


def test_fitting_changes_neither_the_target_nor_a_closed_range() -> None:
    target = TargetSpec({"pitch": {}, "yaw": {"low": 0, "high": 10, "unit": "degrees"}}, distance="l2")
    fitted = target.fitted(torch.tensor([[1.5, 99.0], [2.5, -99.0]]))
    assert fitted.grids == [Grid(1.0, 1.0, 3), Grid(0, 1.0, 11)]
    assert (fitted.names, fitted.units, fitted.distance) == (["pitch", "yaw"], ["", "degrees"], "l2")
    assert target.dimensions["pitch"].low is None
    assert fitted.fitted(torch.full((3, 2), 7.0)) == fitted


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64, torch.int64])
def test_outside_counts_labels_beyond_the_configured_range(dtype: torch.dtype) -> None:
    target = TargetSpec({"a": {"low": 0, "high": 10}, "b": {"low": 0}, "c": {"high": 10}, "d": {}})
    labels = torch.tensor([[-1, -1, -1, -1], [0, 0, 0, 0], [10, 10, 10, 10], [11, 11, 11, 11], [12, 12, 12, 12]])
    assert target.count_outside(labels.to(dtype)) == {"a": 3, "b": 1, "c": 2}
    assert target.count_outside(labels[1:3].to(dtype)) == {}


def test_outside_asks_for_the_range_and_not_the_last_centre() -> None:
    assert TargetSpec({"yaw": {"low": 0, "high": 11, "step": 2.5}}).count_outside(column(11.0, 11.5, 12.5)) == {
        "yaw": 2
    }


def test_far_too_many_bins_are_refused_by_name() -> None:
    exactly = TargetDimension(low=0, high=MOST_BINS - 1)
    assert exactly.grid.count == MOST_BINS
    with pytest.raises(ValueError, match=r"dimensions\.time: step 1e-06 makes 100000\d bins from 0 to 1: make it larg"):
        _ = TargetSpec({"age": {"low": 0, "high": 1}, "time": {"low": 0, "high": 1, "step": 1e-6}}).grids


@pytest.mark.parametrize("given", [{}, {"low": 0.0}, {"high": 0.0}])
def test_bins_of_an_open_range_are_refused_by_name(given: dict[str, Any]) -> None:
    target = TargetSpec({"pitch": {"low": 0, "high": 1}, "yaw": given})
    for refused in (lambda: target.grids, lambda: target.bins(torch.zeros(3, 2))):
        with pytest.raises(ValueError, match=r"dimensions\.yaw: low and high are needed for bins"):
            refused()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"low": 1.0, "high": 1.0}, r"dimensions\.yaw: low must be below high, got low=1\.0 and high=1\.0"),
        ({"low": 2.0, "high": 1.0}, r"dimensions\.yaw: low must be below high"),
        ({"low": math.nan}, r"dimensions\.yaw: low must be a finite number or null, got nan"),
        ({"high": math.inf}, r"dimensions\.yaw: high must be a finite number or null, got inf"),
        ({"step": 0.0}, r"dimensions\.yaw: step must be a positive number, got 0\.0"),
        ({"step": -1.0}, r"dimensions\.yaw: step must be a positive number"),
        ({"step": math.nan}, r"dimensions\.yaw: step must be a positive number"),
        ({"step": math.inf}, r"dimensions\.yaw: step must be a positive number"),
        ({"widht": 1.0}, r"dimensions\.yaw: .*widht"),
        ({"low": "none"}, r"dimensions\.yaw: "),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TargetSpec({"pitch": {}, "yaw": given})


def test_labels_that_cannot_close_a_range_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"dimensions\.yaw: "):
        TargetSpec({"pitch": {}, "yaw": {}}).fitted(torch.tensor([[0.0, math.nan]]))
    with pytest.raises(ValueError, match=r"dimensions\.yaw: low must be below high"):  # a step too small to see
        TargetSpec({"pitch": {}, "yaw": {}}).fitted(torch.full((2, 2), 1e20) * torch.tensor([0.0, 1.0]))


def test_a_target_without_dimensions_is_refused() -> None:
    with pytest.raises(ValueError, match="a target needs at least one"):
        TargetSpec({})


@pytest.mark.parametrize("method", ["bins", "fitted", "count_outside", "check"])
@pytest.mark.parametrize("shape", [(3,), (3, 1), (3, 3), (3, 2, 1), ()])
def test_labels_of_another_shape_are_refused(shape: tuple[int, ...], method: str) -> None:
    with pytest.raises(ValueError, match=r"labels must be \(B, 2\) for pitch, yaw, got \("):
        getattr(TWO, method)(torch.zeros(shape))


def test_dimensions_keep_the_order_of_the_columns() -> None:
    target = TargetSpec({"yaw": TargetDimension(unit="degrees"), "age": {"unit": "years"}, "pitch": {}})
    assert len(target) == 3
    assert (target.names, target.units) == (["yaw", "age", "pitch"], ["degrees", "years", ""])


@pytest.mark.parametrize(
    ("distance", "unit"), [("angular", "radian"), ("angular_degrees", "degree"), ("l1", None), (torch.cdist, None)]
)
def test_the_angular_unit_follows_the_distance(distance: Any, unit: str | None) -> None:
    assert TargetSpec({"pitch": {}, "yaw": {}}, distance=distance).angular_unit == unit


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [(0.0, 100.0, 1.0), (0.0, 101.0, 2.0), (-20.0, 49.0, 1.0), (3.0, 3.7, 0.01), (0.0, 4e6, 5e4), (5.0, 5.0, 1.0)],
)
def test_an_open_step_becomes_round(low: float, high: float, step: float) -> None:
    """1, 2 or 5 times a power of ten, for 40 to 100 bins over the labels' range."""
    labels = torch.tensor([[low], [high]], dtype=torch.float64)
    dimension = TargetSpec({"y": {"step": None}}).fitted(labels).dimensions["y"]
    assert dimension.step == pytest.approx(step)
    assert dimension.grid.count <= 102
    assert high == low or dimension.grid.count >= 40


def test_an_open_step_has_no_bins_before_it_is_fitted() -> None:
    with pytest.raises(ValueError, match=r"dimensions\.y: step is needed"):
        _ = TargetSpec({"y": {"low": 0, "high": 1, "step": None}}).grids
