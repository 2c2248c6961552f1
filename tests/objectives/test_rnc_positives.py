"""Only the K candidates nearest in label as positives, against the reference and against the full loss."""

import pytest
import rnc_reference as reference
import torch
from torch import Tensor

from rnc_lightning.objectives import _rnc_core, _rnc_ranks
from rnc_lightning.objectives.rnc import RnCLoss, rnc_loss, rnc_loss_floor

SIMILARITIES = ("negative_l2", "negative_l1", "cosine")


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


LABELS = {
    "distinct": torch.tensor([3.0, -1, 4, 15, 9, -26, 5]),
    "ties": torch.tensor([2, 0, 1, 1, 0, 2, 5]),
    "all equal": torch.full((7,), 7.0),
    "vectors": normal(7, 3, seed=3),
    "vectors with ties": whole(2, 7, 2, seed=4),
}


def value_and_gradient(features: Tensor, targets: Tensor, **settings) -> tuple[Tensor, Tensor]:
    leaf = features.detach().clone().requires_grad_()
    loss = rnc_loss(leaf, targets, **settings)
    loss.backward()
    assert leaf.grad is not None
    return loss.detach(), leaf.grad


def assert_equals_reference(features: Tensor, targets: Tensor, chunk_size: int | None = None, **settings) -> None:
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5}[features.dtype]
    expected, expected_gradient = reference.naive_value_and_gradient(features, targets, **settings)
    loss, gradient = value_and_gradient(features, targets, chunk_size=chunk_size, **settings)
    assert abs(loss.double() - expected) <= tolerance * expected.abs() + 1e-15, (loss, expected)
    error = (gradient.double() - expected_gradient).abs().max()
    assert error <= tolerance * expected_gradient.abs().max() + 1e-15, (error, expected_gradient.abs().max())


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
@pytest.mark.parametrize("views", [1, 2, 3])
def test_equals_the_reference(views: int, labels: Tensor) -> None:
    """K = 1, 4 and 5 of up to 20 candidates: within a tie group, at the edge of one, and within your own views."""
    features = normal(7, views, 4)
    for positives in (1, 4, 5):
        assert_equals_reference(features, labels, positives=positives)
        assert_equals_reference(features.float(), labels, positives=positives)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("labels", ["distinct", "ties", "vectors with ties"])
def test_every_similarity_and_chunk_size(labels: str, similarity: str) -> None:
    for scale in (1.0, 1e4):  # the linear and the log domain
        features = scale * normal(7, 2, 4)
        expected = reference.naive_value_and_gradient(features, LABELS[labels], similarity=similarity, positives=5)
        for chunk_size in (None, 1, 2, 5, 100):
            settings = {"similarity": similarity, "positives": 5, "chunk_size": chunk_size}
            loss, gradient = value_and_gradient(features, LABELS[labels], **settings)
            torch.testing.assert_close(loss, expected[0], rtol=1e-10, atol=1e-13)
            torch.testing.assert_close(gradient, expected[1], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("tolerance", [0.15, 1.0, 1.5, 50.0])
@pytest.mark.parametrize("labels", ["distinct", "ties", "vectors"])
def test_with_a_tolerance_a_group_is_what_reaches_down_to_one_place(labels: str, tolerance: float) -> None:
    for features in (normal(7, 2, 4), normal(7, 4).float()):
        for positives in (1, 3, 4):
            assert_equals_reference(features, LABELS[labels], tie_tolerance=tolerance, positives=positives)


@pytest.mark.parametrize("sort", ["numpy", "torch"])
@pytest.mark.parametrize("group", [True, False])
def test_every_way_of_ranking_gives_the_same(sort: str, group: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rnc_ranks, "_NUMPY_SORT_THREADS", 0 if sort == "torch" else 1000)
    monkeypatch.setattr(_rnc_ranks, "_MOST_GROUPS", 1000 if group else 0)
    labels = torch.tensor([2, 0, 0, 1, 0, 2, 2, 1])
    for tolerance in (0.0, 1.0):
        for scale in (1.0, 1e4):
            assert_equals_reference(scale * normal(8, 2, 3), labels, positives=6, tie_tolerance=tolerance)


def test_weights_by_hand() -> None:
    """Anchor 0 of labels 0, 1, 1, -1, 5 and K = 2: three rows tie at distance 1 and count 2/3 each."""
    labels = torch.tensor([0.0, 1, 1, -1, 5])
    ranks = _rnc_ranks.LabelRanks(labels[:, None].double(), 1, _rnc_ranks.l1_distance, 0.0, torch.device("cpu"), 2)
    assert ranks.sample_order is not None
    table = ranks.table(0, 5, torch.float64)
    weights = _rnc_core._weights(ranks, table, torch.float64)
    assert weights is not None
    row = ranks.sample_order.tolist().index(0)
    counted = dict(zip(ranks.sample_order.tolist(), weights[row, 0].tolist(), strict=True))
    assert [counted[j] for j in (1, 2, 3, 4)] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])
    assert table.starts[row].tolist() == [0, 2, 0, 0, 0]


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_all_candidates_as_positives_are_the_full_loss_bit_for_bit(labels: Tensor) -> None:
    for features in (normal(7, 2, 4), normal(7, 2, 4).float(), 1e4 * normal(7, 2, 4)):
        full = value_and_gradient(features, labels)
        for positives in (13, 14, 1000):
            limited = value_and_gradient(features, labels, positives=positives)
            assert torch.equal(limited[0], full[0])
            assert torch.equal(limited[1], full[1])
    assert torch.equal(rnc_loss_floor(labels, 2, positives=13), rnc_loss_floor(labels, 2))


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_order_of_the_samples_does_not_matter(labels: Tensor) -> None:
    features, shuffle = normal(7, 2, 5), torch.tensor([4, 0, 1, 6, 3, 2, 5])
    for positives in (1, 2, 4, 5):
        loss, gradient = value_and_gradient(features, labels, positives=positives)
        shuffled = value_and_gradient(features[shuffle].flip(1), labels[shuffle], positives=positives)
        torch.testing.assert_close(shuffled[0], loss, rtol=1e-12, atol=0)
        torch.testing.assert_close(shuffled[1], gradient[shuffle].flip(1), rtol=1e-10, atol=1e-13)


def test_an_own_view_is_the_nearest_positive() -> None:
    """K = 1 and two views: the contrast of the other view with all rows."""
    features = normal(6, 2, 4)
    rows = features.flatten(0, 1)
    logits = (-torch.cdist(rows, rows) / 2).fill_diagonal_(-torch.inf)
    own = logits[torch.arange(12), torch.arange(12) ^ 1]
    expected = (logits.logsumexp(1) - own).mean()
    torch.testing.assert_close(rnc_loss(features, torch.arange(6), positives=1), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("shape", [(1, 4), (2, 4), (1, 2, 4)])
def test_one_and_two_rows(shape: tuple[int, ...]) -> None:
    loss, gradient = value_and_gradient(normal(*shape), torch.arange(float(shape[0])), positives=1)
    assert loss == 0
    assert not gradient.any()
    assert rnc_loss_floor(torch.arange(float(shape[0])), shape[1] if len(shape) == 3 else 1, positives=1) == 0


def test_shares_add_up() -> None:
    features = normal(7, 2, 5)
    for labels in (LABELS["ties"], LABELS["distinct"]):
        loss, gradient = value_and_gradient(features, labels, positives=5)
        parts = [value_and_gradient(features, labels, positives=5, share=(place, 3)) for place in range(3)]
        torch.testing.assert_close(sum(part[0] for part in parts), loss, rtol=1e-12, atol=0)
        torch.testing.assert_close(sum(part[1] for part in parts), gradient, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    features, labels = normal(7, 2, 5).to(dtype), LABELS["ties"]
    expected, expected_gradient = reference.naive_value_and_gradient(features, labels, positives=5)
    loss, gradient = value_and_gradient(features, labels, positives=5)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, expected_gradient.to(dtype), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("positives", [1, 5])
@pytest.mark.parametrize("kind", ["collapsed", "small", "near views", "10^4 apart", "an outlier"])
def test_hard_features_in_float32(kind: str, positives: int) -> None:
    features = {
        "collapsed": normal(5).expand(7, 2, 5).clone(),
        "small": 1e-3 * normal(7, 2, 5),
        "near views": normal(7, 1, 5) + 1e-4 * normal(7, 2, 5, seed=1),
        "10^4 apart": 1e4 * normal(7, 2, 5),
        "an outlier": torch.cat((normal(6, 2, 5), 1e4 + normal(1, 2, 5, seed=1))),
    }[kind].float()
    for labels in (LABELS["ties"], LABELS["distinct"]):
        assert_equals_reference(features, labels, positives=positives)


@pytest.mark.parametrize("kind", ["ties", "continuous"])
def test_large_batch_in_blocks_and_in_chunks(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    features = normal(389, 2, 8).float()
    labels = whole(90, 389) if kind == "ties" else normal(389)
    at_once = value_and_gradient(features, labels, positives=200)
    monkeypatch.setattr(_rnc_core, "_BLOCK_BYTES", 1 << 21)
    in_blocks = value_and_gradient(features, labels, positives=200)
    monkeypatch.undo()
    wide = value_and_gradient(features.double(), labels, positives=200, chunk_size=70)
    for loss, gradient in (at_once, in_blocks):
        torch.testing.assert_close(loss.double(), wide[0], rtol=1e-6, atol=0)
        assert (gradient.double() - wide[1]).abs().max() <= 5e-6 * wide[1].abs().max()


@pytest.mark.parametrize("chunk_size", [None, 4])
def test_gradcheck(chunk_size: int | None) -> None:
    features = normal(5, 2, 3).requires_grad_()
    labels = torch.tensor([1.0, 2, 2, 4, 7])
    assert torch.autograd.gradcheck(lambda x: 3 * rnc_loss(x, labels, positives=3, chunk_size=chunk_size), (features,))


# The floor L*


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS.keys())
def test_floor_equals_its_formula_and_bounds_the_loss(labels: Tensor) -> None:
    for positives in (1, 2, 4, 5, 12):
        floor = rnc_loss_floor(labels, 2, positives=positives)
        assert floor.item() == pytest.approx(reference.naive_floor(labels, 2, positives=positives), rel=1e-12)
        assert torch.equal(RnCLoss(positives=positives).floor(labels, 2), floor)
        for scale in (0.1, 1.0, 30.0):
            features = scale * normal(7, 2, 3)
            features[..., 0] += scale * labels.double().reshape(7, -1)[:, :1]
            assert rnc_loss(features, labels, positives=positives) >= floor - 1e-12


def test_floor_bounds_the_loss_with_a_tolerance() -> None:
    for tolerance in (0.5, 1.5, 7.0):
        settings = {"tie_tolerance": tolerance, "positives": 4}
        floor = rnc_loss_floor(LABELS["distinct"], 2, **settings)
        line = LABELS["distinct"].double()[:, None, None].expand(-1, 2, 1)
        for scale in (0.1, 1.0, 10.0):
            assert rnc_loss(scale * line, LABELS["distinct"], **settings) >= floor - 1e-12


@pytest.mark.parametrize("positives", [1, 3, 4, 9])
def test_features_in_label_order_come_to_the_floor(positives: int) -> None:
    for labels in (LABELS["distinct"], LABELS["ties"].float()):
        floor = rnc_loss_floor(labels, 2, positives=positives)
        line = labels[:, None, None].double().expand(-1, 2, 1)
        gaps = [(rnc_loss(scale * line, labels, positives=positives) - floor).item() for scale in (1.0, 10.0, 100.0)]
        assert gaps[0] > gaps[1] >= gaps[2]
        assert gaps[2] == pytest.approx(0.0, abs=1e-11)
