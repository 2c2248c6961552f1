import importlib.util
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rnc_lightning.objectives import _rnc_core, _rnc_ranks, _rnc_similarity
from rnc_lightning.objectives.rnc import RnCLoss, rnc_loss, rnc_loss_floor

_spec = importlib.util.spec_from_file_location("rnc_reference", Path(__file__).with_name("rnc_reference.py"))
assert _spec is not None
assert _spec.loader is not None
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

SIMILARITIES = ("negative_l2", "negative_l1", "cosine")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def value_and_gradient(features: Tensor, targets: Tensor, **settings) -> tuple[Tensor, Tensor]:
    leaf = features.detach().clone().requires_grad_()
    loss = rnc_loss(leaf, targets, **settings)
    loss.backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == features.dtype
    return loss.detach(), leaf.grad


def assert_equals_naive(features: Tensor, targets: Tensor, chunk_size: int | None = None, **settings) -> None:
    tolerance = 1e-10 if features.dtype == torch.float64 else 1e-5
    expected, expected_gradient = reference.naive_value_and_gradient(features, targets, **settings)
    loss, gradient = value_and_gradient(features, targets, chunk_size=chunk_size, **settings)
    assert loss.dtype == (torch.float64 if features.dtype == torch.float64 else torch.float32)
    assert abs(loss.double() - expected) <= tolerance * expected.abs(), (loss, expected)
    error = (gradient.double() - expected_gradient).abs().max()
    assert error <= tolerance * expected_gradient.abs().max(), (error, expected_gradient.abs().max())


LABELS = {
    "distinct": torch.tensor([3.0, -1, 4, 15, 9, -26, 5, 35, 8]),
    "heavy ties": torch.tensor([2, 0, 1, 1, 0, 2, 2, 0, 1]),
    "continuous": normal(9, seed=1),
    "tenths": torch.tensor([0.1, 0.2, 0.3, 0.4, 0.3, 0.7, 0.5, 0.6, 0.9]),
    "negative": -torch.tensor([1.0, 5, 2, 2, 9, 9, 9, 4, 3]),
    "all equal": torch.full((9,), 7.0),
    "column": normal(9, 1, seed=2).float(),
    "vectors": normal(9, 3, seed=3),
    "vectors with ties": whole(2, 9, 2, seed=4),
    "far apart": torch.tensor([0.0, 1e-300, 1e300, -1e300, 1, 2, 3, 4, 5], dtype=torch.float64),
}


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("shape", [(9, 2, 5), (9, 1, 4), (9, 3)], ids=["two views", "one view", "flat"])
def test_equals_the_naive_loops(shape: tuple[int, ...], labels: Tensor, similarity: str) -> None:
    features = normal(*shape)
    assert_equals_naive(features, labels, similarity=similarity)
    assert_equals_naive(features.float(), labels, similarity=similarity)


@pytest.mark.parametrize("views", [3, 5])
@pytest.mark.parametrize("temperature", [0.1, 1.0, 7.0])
def test_equals_the_naive_loops_for_more_views_and_other_temperatures(views: int, temperature: float) -> None:
    features = normal(4, views, 6)
    for labels in (torch.tensor([1.0, 2, 4, 7]), torch.tensor([1, 1, 2, 1])):
        assert_equals_naive(features, labels, temperature=temperature)
        assert_equals_naive(features.float(), labels, temperature=temperature)


@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_one_sample_in_many_views(similarity: str) -> None:
    assert_equals_naive(normal(1, 5, 4), torch.tensor([3.0]), similarity=similarity)
    assert_equals_naive(normal(1, 5, 4).float(), torch.tensor([[3.0, 1.0]]), similarity=similarity)


@pytest.mark.parametrize("distance", ["l2", "angular", "angular_degrees"])
@pytest.mark.parametrize("positions_are", ["samples", "groups"])
def test_equals_the_naive_loops_for_other_target_distances(distance: str, positions_are: str) -> None:
    targets = normal(8, 2, seed=5) * (1.0 if distance != "angular_degrees" else 20.0)
    if positions_are == "groups":
        targets = targets[whole(3, 8, seed=6)]
    for features in (normal(8, 2, 4), normal(8, 2, 4).float()):
        assert_equals_naive(features, targets, target_distance=distance)


@pytest.mark.parametrize("tolerance", [1e-6, 0.15, 1.0, 50.0])
@pytest.mark.parametrize("labels", ["tenths", "continuous", "heavy ties", "vectors", "vectors with ties"])
def test_tie_tolerance_joins_nearly_equal_distances(labels: str, tolerance: float) -> None:
    for features in (normal(9, 2, 4), normal(9, 4).float()):
        assert_equals_naive(features, LABELS[labels], tie_tolerance=tolerance)


def test_ties_are_exact_unless_a_tolerance_joins_them() -> None:
    features, labels = normal(3, 1, 4), torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    exact = rnc_loss(features, labels)
    assert exact == rnc_loss(features, torch.tensor([0.0, 1.0, 1.9]))  # 0.3 - 0.2 < 0.2 - 0.1
    joined = rnc_loss(features, labels, tie_tolerance=1e-9)
    assert joined == rnc_loss(features, torch.tensor([1, 2, 3]))
    assert (exact - joined).abs() > 1e-3


FEATURES = {
    "duplicates": normal(9, 1, 5).expand(9, 2, 5).clone(),
    "a few duplicates": normal(9, 2, 5)[[0, 1, 2, 3, 0, 1, 4, 5, 6]],
    "collapsed": normal(5).expand(9, 2, 5).clone(),
    "zeros": torch.zeros(9, 2, 5, dtype=torch.float64),
    "an offset": 1000 * normal(5) + 1e-2 * normal(9, 2, 5).float().double(),
    "small": 1e-3 * normal(9, 2, 5),
    "near views": normal(9, 1, 5) + 1e-4 * normal(9, 2, 5, seed=1),
    "two tight clusters": normal(2, 1, 5)[[0, 1, 0, 1, 0, 1, 0, 1, 0]] + 1e-2 * normal(9, 2, 5, seed=1),
    "300 apart": 300 * normal(9, 2, 5),
    "10^4 apart": 1e4 * normal(9, 2, 5),
    "clusters 10^4 apart": 1e4 * torch.arange(9)[:, None, None].remainder(2) + normal(9, 2, 5),
    "an outlier": torch.cat((normal(8, 2, 5), 1e4 + normal(1, 2, 5, seed=1))),
    "beyond float32's squares": 1e20 * normal(9, 2, 5),
    "below float32's squares": 1e-22 * normal(9, 2, 5),
}


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("labels", ["heavy ties", "continuous", "vectors"])
@pytest.mark.parametrize("kind", FEATURES)
def test_hard_features_stay_finite_and_right(kind: str, labels: str, similarity: str) -> None:
    targets = LABELS[labels]
    features = FEATURES[kind].float()  # both precisions get the same numbers
    loss, gradient = value_and_gradient(features, targets, similarity=similarity)
    assert loss.isfinite()
    assert gradient.isfinite().all()
    if kind == "beyond float32's squares" and similarity != "cosine":
        return  # rounding of s itself decides there, also in the reference
    if similarity == "cosine" and kind in ("zeros", "collapsed", "below float32's squares"):
        # the gradient is 0 but for rounding (and so short a feature counts as zero)
        assert loss.item() == pytest.approx(rnc_loss(torch.zeros(9, 2, 5), targets).item(), rel=1e-6)
        assert gradient.abs().max() <= 1e-6
        return
    if kind == "10^4 apart" and similarity != "cosine":
        assert_equals_naive(features, targets, similarity=similarity)
        return  # in float64 too, s is only known to 1e-12 here
    assert_equals_naive(features, targets, similarity=similarity)
    if not (similarity == "cosine" and kind == "an offset"):  # the reference cancels
        assert_equals_naive(features.double(), targets, similarity=similarity)


def test_identical_features_have_no_gradient() -> None:
    features = normal(5).expand(9, 2, 5).clone()
    for similarity in ("negative_l2", "negative_l1"):
        for dtype in (torch.float32, torch.float64):
            gradient = value_and_gradient(features.to(dtype), LABELS["distinct"], similarity=similarity)[1]
            assert torch.equal(gradient, torch.zeros_like(gradient))


def test_zero_features_have_cosine_zero_and_no_gradient() -> None:
    features = normal(6, 4)
    features[2] = 0
    gradient = value_and_gradient(features, torch.arange(6), similarity="cosine")[1]
    expected, expected_gradient = reference.naive_value_and_gradient(features, torch.arange(6), similarity="cosine")
    others = [0, 1, 3, 4, 5]
    torch.testing.assert_close(gradient[others], expected_gradient[others], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(rnc_loss(features, torch.arange(6), similarity="cosine"), expected, rtol=1e-10, atol=0)
    assert torch.equal(gradient[2], torch.zeros(4, dtype=torch.float64))


def test_the_official_formula_has_no_limit_left_here() -> None:
    """Where exp underflows in float32 the loss is that of the log domain, not -inf."""
    features = torch.tensor([[0.0], [100.0], [250.0], [600.0]])
    labels = torch.tensor([0.0, 1.0, 2.5, 6.0])
    loss, gradient = value_and_gradient(features, labels)
    assert 0 <= loss < 1e-9
    assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([0.0, 1, 0, 1], (math.log(3) + 2 * math.log(2)) / 3),
        ([0.0, 1, 3, 7], (math.log(3) + math.log(2)) / 3),
        ([5.0, 5, 5, 5], math.log(3)),
    ],
)
def test_equal_features_leave_the_log_sizes_of_the_sets(labels: list[float], expected: float) -> None:
    for similarity in SIMILARITIES:
        loss = rnc_loss(torch.ones(4, 3, dtype=torch.float64), torch.tensor(labels), similarity=similarity)
        assert loss.item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(1, 4), (1, 1, 4), (1, 2, 4), (2, 4)])
def test_one_or_two_rows_have_loss_and_gradient_zero(shape: tuple[int, ...]) -> None:
    loss, gradient = value_and_gradient(normal(*shape), torch.arange(float(shape[0])))
    assert loss == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))
    assert rnc_loss_floor(torch.arange(float(shape[0])), shape[1] if len(shape) == 3 else 1) == 0


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("chunk_size", [None, 4])
def test_gradcheck(similarity: str, chunk_size: int | None) -> None:
    features = normal(5, 2, 3).requires_grad_()
    for targets in (torch.tensor([1.0, 2, 2, 4, 7]), normal(5, 2, seed=1)):
        assert torch.autograd.gradcheck(
            lambda x, y=targets: 3 * rnc_loss(x, y, similarity=similarity, chunk_size=chunk_size), (features,)
        )


def test_gradcheck_in_the_log_domain() -> None:
    features = (900 * normal(5, 3)).requires_grad_()
    targets = torch.tensor([1.0, 3, 2, 2, 5])
    assert torch.autograd.gradcheck(lambda x: rnc_loss(x, targets), (features,), atol=1e-6)


def test_a_second_derivative_is_refused() -> None:
    features = normal(4, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(rnc_loss(features, torch.arange(4)), features, create_graph=True)
    with pytest.raises(RuntimeError, match="no second derivative"):
        gradient.sum().backward()


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_order_of_the_samples_does_not_matter(labels: Tensor) -> None:
    features = normal(9, 2, 5)
    loss, gradient = value_and_gradient(features, labels)
    shuffle = torch.tensor([4, 7, 0, 8, 1, 6, 3, 2, 5])
    shuffled, shuffled_gradient = value_and_gradient(features[shuffle].flip(1), labels[shuffle])
    torch.testing.assert_close(shuffled, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(shuffled_gradient, gradient[shuffle].flip(1), rtol=1e-10, atol=1e-13)


def test_views_are_rows_that_share_a_target() -> None:
    features, labels = normal(6, 3, 4), torch.tensor([1.0, 5, 5, 7, 2, 9])
    loss, gradient = value_and_gradient(features, labels)
    flat, flat_gradient = value_and_gradient(features.flatten(0, 1), labels.repeat_interleave(3))
    torch.testing.assert_close(flat, loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(flat_gradient.view(6, 3, 4), gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("labels", ["heavy ties", "continuous", "vectors", "tenths"])
def test_chunks_change_nothing(labels: str, similarity: str) -> None:
    for scale in (1.0, 1e4):
        features = scale * normal(9, 2, 5)
        loss, gradient = value_and_gradient(features, LABELS[labels], similarity=similarity)
        for chunk_size in (1, 2, 5, 8, 17, 18, 1000):
            chunked = value_and_gradient(features, LABELS[labels], similarity=similarity, chunk_size=chunk_size)
            torch.testing.assert_close(chunked[0], loss, rtol=1e-12, atol=0)
            torch.testing.assert_close(chunked[1], gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("sort", ["numpy", "torch"])
@pytest.mark.parametrize("group", [True, False])
def test_every_way_of_ranking_gives_the_same(sort: str, group: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rnc_ranks, "_NUMPY_SORT_THREADS", 0 if sort == "torch" else 1000)
    monkeypatch.setattr(_rnc_ranks, "_MOST_GROUPS", 1000 if group else 0)
    for scale in (1.0, 1e4):
        assert_equals_naive(scale * normal(9, 2, 3), LABELS["heavy ties"])
        assert_equals_naive(scale * normal(9, 2, 3), LABELS["vectors with ties"])


@pytest.mark.parametrize("shape", [(1024, 2, 8), (389, 2, 8), (650, 1, 8)])
def test_large_batch_whole_in_blocks_and_in_chunks(shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to n = 2048: several strips, several blocks of anchors, and both ways to gather the gradient."""
    features = normal(*shape).float()
    for labels in (whole(90, shape[0]), normal(shape[0])):
        at_once = value_and_gradient(features, labels)
        monkeypatch.setattr(_rnc_core, "_BLOCK_BYTES", 1 << 22)
        kept = value_and_gradient(features, labels)
        monkeypatch.setattr(_rnc_core, "_FULL_BYTES", 0)
        dropped = value_and_gradient(features, labels)
        monkeypatch.undo()
        chunked = value_and_gradient(features, labels, chunk_size=300)
        wide = value_and_gradient(features.double(), labels, chunk_size=70)
        for loss, gradient in (at_once, kept, dropped, chunked):
            torch.testing.assert_close(loss.double(), wide[0], rtol=1e-6, atol=0)
            error = (gradient.double() - wide[1]).abs().max()
            assert error <= 5e-6 * wide[1].abs().max()


@pytest.mark.parametrize("few", [True, False])
def test_pairs_that_cancel_are_measured_anew(few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Views 1e-3 apart: a few such pairs are mended in float32, many send the batch to float64."""
    monkeypatch.setattr(_rnc_similarity, "_MOST_NEAR", 1.0 if few else 0.0)
    monkeypatch.setattr(_rnc_similarity, "_PAIR_BLOCK", 40)
    features = (normal(8, 1, 7) + 1e-3 * normal(8, 3, 7, seed=1)).float()
    assert_equals_naive(features, torch.arange(8))
    assert_equals_naive(features, torch.arange(8), chunk_size=5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    features, labels = normal(9, 2, 5).to(dtype), LABELS["heavy ties"]
    expected, expected_gradient = reference.naive_value_and_gradient(features, labels)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, gradient = value_and_gradient(features, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, expected_gradient.to(dtype), rtol=1e-2, atol=1e-4)


def test_autocast_and_matmul_precision_change_nothing() -> None:
    features, labels = normal(64, 2, 300).float(), normal(64)
    loss, gradient = value_and_gradient(features, labels)
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", dtype=torch.bfloat16):
            other, other_gradient = value_and_gradient(features, labels)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    assert torch.equal(loss, other)
    assert torch.equal(gradient, other_gradient)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [1, 9])
def test_features_that_are_no_numbers_give_nan(similarity: str, bad: float, dtype: torch.dtype, rows: int) -> None:
    features = normal(rows, 2, 5).to(dtype)
    features[0, 1, 2] = bad
    for labels in (torch.arange(rows), torch.arange(rows) // 3):
        assert rnc_loss(features, labels, similarity=similarity).isnan()


def test_no_gradient_wanted() -> None:
    features, labels = normal(9, 2, 5), LABELS["continuous"]
    expected = value_and_gradient(features, labels)[0]
    assert torch.equal(rnc_loss(features, labels), expected)
    with torch.no_grad():
        loss = rnc_loss(features.clone().requires_grad_(), labels)
    assert torch.equal(loss, expected)
    assert not loss.requires_grad


def test_neither_features_nor_targets_are_changed() -> None:
    features, targets = normal(9, 2, 5), LABELS["continuous"].clone()
    before, labels_before = features.clone(), targets.clone()
    value_and_gradient(features, targets)
    assert torch.equal(features, before)
    assert torch.equal(targets, labels_before)


def test_features_in_another_memory_layout() -> None:
    features, labels = normal(5, 2, 9).permute(2, 1, 0), LABELS["distinct"]
    expected = value_and_gradient(features.contiguous(), labels)
    loss, gradient = value_and_gradient(features, labels)
    assert torch.equal(loss, expected[0])
    assert torch.equal(gradient, expected[1])


def test_target_distance_may_be_a_function() -> None:
    seen = []

    def circular(a: Tensor, b: Tensor) -> Tensor:
        seen.append((a.dtype, a.dim()))
        gap = (a[:, None, 0] - b[None, :, 0]).abs() % 360
        return torch.minimum(gap, 360 - gap)

    features, degrees = normal(7, 2, 3), torch.tensor([350.0, 10, 90, 95, 200, 201, 40])
    as_points = torch.stack((torch.zeros(7), degrees), dim=1)  # pitch 0: the angle is the circular distance
    loss = rnc_loss(features, degrees, target_distance=circular)
    expected = rnc_loss(features, as_points, target_distance="angular_degrees", tie_tolerance=1e-9)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=0)
    assert set(seen) == {(torch.float64, 2)}


# The floor L*


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_floor_equals_its_formula(labels: Tensor, views: int) -> None:
    expected = reference.naive_floor(labels, views)
    assert rnc_loss_floor(labels, views).item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    assert RnCLoss().floor(labels, views).item() == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_floor_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rnc_ranks, "_FLOOR_BLOCK", 20)
    for labels in LABELS.values():
        assert rnc_loss_floor(labels, 2).item() == pytest.approx(reference.naive_floor(labels, 2), rel=1e-12)


def test_floor_of_distinct_labels_in_two_views() -> None:
    n = 512  # the two views of any other sample tie
    expected = (n - 2) / (n - 1) * math.log(2)
    assert rnc_loss_floor(normal(n // 2), 2).item() == pytest.approx(expected, rel=1e-12)


def test_floor_with_other_distances_and_a_tolerance() -> None:
    targets = normal(8, 2, seed=5)[whole(4, 8, seed=6)]
    for name in ("l2", "angular"):
        expected = reference.naive_floor(targets, 2, name)
        assert rnc_loss_floor(targets, 2, target_distance=name).item() == pytest.approx(expected, rel=1e-12)
    tenths = torch.tensor([0.1, 0.2, 0.3, 0.4, 0.3, 0.7, 0.5])
    expected = reference.naive_floor((10 * tenths).round(), 2)
    assert rnc_loss_floor(tenths, 2, tie_tolerance=1e-5).item() == pytest.approx(expected, rel=1e-12)
    assert rnc_loss_floor(tenths, 2).item() < expected


@pytest.mark.parametrize("tolerance", [0.0, 0.15, 0.5])
@pytest.mark.parametrize("labels", ["heavy ties", "continuous", "tenths", "vectors"])
def test_loss_never_falls_below_the_floor(labels: str, tolerance: float) -> None:
    floor = rnc_loss_floor(LABELS[labels], 2, tie_tolerance=tolerance)
    for seed in range(5):
        for scale in (0.1, 1.0, 30.0):
            features = scale * normal(9, 2, 3, seed=seed)
            features[..., 0] += scale * LABELS[labels].double().reshape(9, -1)[:, :1]
            assert rnc_loss(features, LABELS[labels], tie_tolerance=tolerance) >= floor - 1e-12


def test_features_in_label_order_come_to_the_floor() -> None:
    for labels in (LABELS["distinct"], LABELS["heavy ties"].float(), LABELS["negative"]):
        floor = rnc_loss_floor(labels, 2)
        line = labels[:, None, None].double().expand(-1, 2, 1)
        gaps = [(rnc_loss(scale * line, labels) - floor).item() for scale in (1.0, 10.0, 100.0)]
        assert gaps[0] > gaps[1] >= gaps[2]
        assert gaps[2] == pytest.approx(0.0, abs=1e-11)


# Bad input


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a positive number"),
        ({"temperature": -1.0}, "temperature must be a positive number"),
        ({"temperature": math.nan}, "temperature must be a positive number"),
        ({"temperature": math.inf}, "temperature must be a positive number"),
        ({"similarity": "l2"}, "similarity must be one of 'negative_l2'"),
        ({"target_distance": "l3"}, "target_distance must be one of 'l1'"),
        ({"chunk_size": 0}, "chunk_size must be a whole number"),
        ({"chunk_size": 1.5}, "chunk_size must be a whole number"),
        ({"positives": 0}, "positives must be a whole number from 1 up"),
        ({"positives": 2.5}, "positives must be a whole number from 1 up"),
        ({"positives": True}, "positives must be a whole number from 1 up"),
        ({"tie_tolerance": -0.1}, "tie_tolerance must be a finite number from 0 up"),
        ({"tie_tolerance": math.nan}, "tie_tolerance must be a finite number from 0 up"),
    ],
)
def test_bad_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RnCLoss(**settings)
    with pytest.raises(ValueError, match=message):
        rnc_loss(torch.zeros(4, 2), torch.zeros(4), **settings)


@pytest.mark.parametrize(
    ("features", "targets", "message"),
    [
        (torch.zeros(4, 2), torch.tensor([0.0, math.nan, 1, 2]), "targets must be finite"),
        (torch.zeros(4, 2), torch.tensor([0.0, math.inf, 1, 2]), "targets must be finite"),
        (torch.zeros(4, 2), torch.zeros(3), "targets must have one row per sample"),
        (torch.zeros(4, 2, 3), torch.zeros(8), "targets must have one row per sample"),
        (torch.zeros(4, 2), torch.zeros(4, 1, 1), r"targets must be \(B,\) or \(B, D\)"),
        (torch.zeros(4, 2), torch.tensor(1.0), r"targets must be \(B,\) or \(B, D\)"),
        (torch.zeros(4, 2), torch.zeros(4, 0), r"targets must be \(B,\) or \(B, D\)"),
        (torch.zeros(4, 2), torch.zeros(4, dtype=torch.bool), "targets must be a tensor of real numbers"),
        (torch.zeros(4, 2), [0, 1, 2, 3], "targets must be a tensor of real numbers"),
        (torch.zeros(4), torch.zeros(4), r"features must be \(B, V, F\) or \(N, F\)"),
        (torch.zeros(4, 2, 3, 1), torch.zeros(4), r"features must be \(B, V, F\) or \(N, F\)"),
        (torch.zeros(0, 2), torch.zeros(0), r"features must be \(B, V, F\) or \(N, F\)"),
        (torch.zeros(4, 2, dtype=torch.int64), torch.zeros(4), "features must be a floating-point tensor"),
    ],
)
def test_bad_tensors_are_named(features: Tensor, targets: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rnc_loss(features, targets)


def test_bad_input_of_the_floor_is_named() -> None:
    for targets, settings, message in (
        (torch.tensor([1.0, math.nan]), {}, "targets must be finite"),
        (torch.zeros(2, 2, 2), {}, "targets must be"),
        (torch.zeros(2), {"views": 0}, "views must be a whole number from 1 up"),
        (torch.zeros(2), {"tie_tolerance": -1.0}, "tie_tolerance must be"),
        (torch.zeros(2), {"positives": 0}, "positives must be a whole number"),
        (torch.zeros(2), {"target_distance": "x"}, "target_distance must be"),
        (torch.zeros(2), {"target_distance": "angular"}, "targets must have 2 columns"),
    ):
        with pytest.raises(ValueError, match=message):
            rnc_loss_floor(targets, **settings)


@pytest.mark.parametrize(
    ("distance", "message"),
    [
        (lambda a, b: (a - b).abs(), r"target_distance must return distances of shape \(m, n\)"),
        (lambda a, b: 1.0, r"target_distance must return distances of shape \(m, n\)"),
        (lambda a, b: (a[:, None, 0] - b[None, :, 0]) * math.nan, "target_distance returned NaN"),
    ],
)
def test_bad_distance_functions_are_named(distance, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rnc_loss(torch.zeros(4, 2), torch.arange(4.0), target_distance=distance)


# The module


def test_module_passes_its_settings_on() -> None:
    settings = {
        "temperature": 0.5,
        "similarity": "cosine",
        "target_distance": "l2",
        "chunk_size": 4,
        "tie_tolerance": 0.3,
        "positives": 5,
    }
    module = RnCLoss(**settings)
    features, targets = normal(9, 2, 5), LABELS["vectors"]
    assert torch.equal(module(features, targets), rnc_loss(features, targets, **settings))
    expected = rnc_loss_floor(targets, 2, target_distance="l2", tie_tolerance=0.3, positives=5)
    assert torch.equal(module.floor(targets, 2), expected)
    assert repr(module) == (
        "RnCLoss(temperature=0.5, similarity=cosine, target_distance=l2, chunk_size=4, tie_tolerance=0.3, gather=True, "
        "positives=5)"
    )
    assert not list(module.parameters())


def test_importing_the_loss_loads_nothing_but_torch() -> None:
    heavy = ["lightning", "hydra", "omegaconf", "wandb", "timm", "torchvision", "pandas", "sklearn"]
    code = (
        "import sys; from rnc_lightning import RnCLoss; RnCLoss();"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_cuda_equals_cpu(similarity: str) -> None:
    features = normal(40, 2, 16)
    for labels in (whole(10, 40), normal(40), normal(40, 2), (3 * normal(40)).round() / 10):
        for scale in (1.0, 1e4):
            loss, gradient = value_and_gradient(scale * features, labels, similarity=similarity)
            on_gpu = value_and_gradient((scale * features).cuda(), labels.cuda(), similarity=similarity)
            torch.testing.assert_close(on_gpu[0].cpu(), loss, rtol=1e-10, atol=0)
            torch.testing.assert_close(on_gpu[1].cpu(), gradient, rtol=1e-8, atol=1e-11)
