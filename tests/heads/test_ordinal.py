import math
from collections import Counter
from typing import Any

import heads_reference as reference
import pytest
import torch
from coral_pytorch.dataset import corn_label_from_logits, levels_from_labelbatch, proba_to_label
from coral_pytorch.losses import coral_loss, corn_loss
from torch import Tensor

from rnc_lightning.heads import OrdinalHead
from rnc_lightning.targets import Grid, TargetSpec

GRIDS = [Grid(-3, 1.5, 5), Grid(0, 0.25, 9), Grid(10, 20, 2)]
CENTRES = [reference.centres_of(grid.low, grid.step, grid.count) for grid in GRIDS]
THREE_RANKS = torch.tensor([[1.0, -1.0], [2.0, 0.0], [0.0, 3.0]], dtype=torch.float64)
RANKS = torch.tensor([[0.0], [1.0], [2.0]])


def head_over(*grids: Grid, **settings: Any) -> OrdinalHead:
    dimensions = {f"d{d}": {"low": g.low, "high": g.high, "step": g.step} for d, g in enumerate(grids)}
    head = OrdinalHead(4, TargetSpec(dimensions), **settings)
    assert head.grids == list(grids)
    return head


def ranks_head(count: int, **settings: Any) -> OrdinalHead:
    """A head whose labels are the ranks 0 to count - 1."""
    return head_over(Grid(0, 1, count), **settings)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def whole(high: int, *shape: int, seed: int = 0) -> Tensor:
    return torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))


def labels_over(grids: list[Grid], rows: int, seed: int = 1) -> Tensor:
    """Labels in the grids' ranges, somewhat beyond, and on a tie."""
    columns = [grid.low + (grid.high - grid.low) * (0.5 + normal(rows, seed=seed)) for grid in grids]
    labels = torch.stack(columns, dim=1)
    labels[0] = torch.tensor([grid.low + 0.5 * grid.step for grid in grids], dtype=torch.float64)
    return labels


def value_and_gradient(loss: Any, logits: Tensor) -> tuple[Tensor, Tensor]:
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def cumulative(logits: Tensor) -> Tensor:
    """CORN's P(y > r_t) (B, K - 1): what the t-th question adds to the expected rank."""
    expected = [
        ranks_head(t + 2, conditional=True, decode="expected").decode(logits[:, : t + 1])
        for t in range(logits.shape[1])
    ]
    return torch.diff(torch.cat(expected, dim=1), dim=1, prepend=torch.zeros(len(logits), 1))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_loss_and_gradient_equal_the_loops(conditional: bool, dims: int, weighted: bool) -> None:
    grids, centres = GRIDS[:dims], CENTRES[:dims]
    reference.assert_loss_is(
        head_over(*grids, conditional=conditional),
        lambda outputs, labels, weight: reference.ordinal_loss(outputs, labels, centres, weight, conditional),
        2 * normal(6, sum(grid.count - 1 for grid in grids)),
        labels_over(grids, 6),
        normal(6, seed=2).abs() if weighted else None,
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_loss_and_gradient_with_task_weights_equal_the_loops(dims: int) -> None:
    grids, centres = GRIDS[:dims], CENTRES[:dims]
    head = head_over(*grids, task_weights="sqrt_frequency")
    head.fit_labels(labels_over(grids, 50, seed=3))
    task_weights = reference.split(head.task_weights.tolist(), [grid.count - 1 for grid in grids])
    assert len(set(task_weights[0])) > 1
    reference.assert_loss_is(
        head,
        lambda outputs, labels, weight: reference.ordinal_loss(outputs, labels, centres, weight, False, task_weights),
        2 * normal(6, sum(grid.count - 1 for grid in grids)),
        labels_over(grids, 6),
        normal(6, seed=2).abs(),
    )


@pytest.mark.parametrize("decode", ["count", "expected"])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("conditional", [False, True])
def test_prediction_equals_the_loops(conditional: bool, dims: int, decode: Any) -> None:
    grids, centres = GRIDS[:dims], CENTRES[:dims]
    outputs = 2 + 2 * normal(20, sum(grid.count - 1 for grid in grids))
    expected = [
        reference.ordinal_decode(row, centres, conditional, expected=decode == "expected") for row in outputs.tolist()
    ]
    prediction = head_over(*grids, conditional=conditional, decode=decode).decode(outputs)
    torch.testing.assert_close(prediction, torch.tensor(expected, dtype=torch.float64))


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("weighted", [False, True])
def test_or_equals_coral_pytorch(count: int, weighted: bool) -> None:
    head, logits, ranks = ranks_head(count), 3 * normal(30, count - 1), whole(count, 30)
    importance = normal(count - 1, seed=5).abs() if weighted else torch.ones(count - 1, dtype=torch.float64)
    head.double().task_weights.copy_(importance)
    levels = levels_from_labelbatch(ranks, count, dtype=torch.float64)
    ours = value_and_gradient(lambda leaf: head.loss(leaf, ranks[:, None].float()), logits)
    torch.testing.assert_close(ours, value_and_gradient(lambda leaf: coral_loss(leaf, levels, importance), logits))
    assert head.decode(logits).flatten().tolist() == proba_to_label(logits.sigmoid()).tolist()


@pytest.mark.parametrize("count", [2, 3, 10, 101])
@pytest.mark.parametrize("shift", [0.0, 4.0])
def test_corn_equals_coral_pytorch(count: int, shift: float) -> None:
    head, logits, ranks = ranks_head(count, conditional=True), shift + 2 * normal(30, count - 1), whole(count, 30)
    ours = value_and_gradient(lambda leaf: head.loss(leaf, ranks[:, None].float()), logits)
    torch.testing.assert_close(ours, value_and_gradient(lambda leaf: corn_loss(leaf, ranks, count), logits))
    assert head.decode(logits).flatten().tolist() == corn_label_from_logits(logits).tolist()


def test_corn_equals_coral_pytorch_where_questions_are_put_to_nobody() -> None:
    head, logits = ranks_head(6, conditional=True), normal(8, 5)
    for ranks in (torch.zeros(8, dtype=torch.long), torch.tensor([0, 1, 1, 2, 0, 0, 1, 0])):
        ours = value_and_gradient(lambda leaf, ranks=ranks: head.loss(leaf, ranks[:, None].float()), logits)
        theirs = value_and_gradient(lambda leaf, ranks=ranks: corn_loss(leaf, ranks, 6), logits)
        torch.testing.assert_close(ours, theirs)


def test_or_known_values() -> None:
    head = ranks_head(3)
    zero = torch.zeros(3, 2, dtype=torch.float64)
    assert head.loss(zero, RANKS).item() == pytest.approx(1.386294, abs=5e-7)
    each = [head.loss(THREE_RANKS[i : i + 1], RANKS[i : i + 1]).item() for i in range(3)]
    assert each == pytest.approx([1.626523, 0.820075, 0.741735], abs=5e-7)
    assert head.loss(THREE_RANKS, RANKS).item() == pytest.approx(1.062778, abs=5e-7)
    assert head.decode(THREE_RANKS).flatten().tolist() == [1, 1, 1]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("count", [2, 9, 101])
def test_a_probability_of_one_half_is_no_yes(count: int, dtype: torch.dtype, conditional: bool) -> None:
    assert ranks_head(count, conditional=conditional).decode(torch.zeros(1, count - 1, dtype=dtype)).item() == 0


@pytest.mark.parametrize(("rank", "answer"), [(0, -1.0), (4, 1.0)])
def test_or_wants_no_from_the_lowest_rank_and_yes_from_the_highest_at_every_question(rank: int, answer: float) -> None:
    _, gradient = value_and_gradient(
        lambda leaf: ranks_head(5).loss(leaf, torch.tensor([[float(rank)]])), torch.zeros(1, 4)
    )
    torch.testing.assert_close(gradient, torch.full((1, 4), -0.5 * answer))


def test_corn_known_values() -> None:
    head = ranks_head(3, conditional=True)
    assert head.loss(THREE_RANKS, RANKS).item() == pytest.approx(0.575014, abs=5e-7)
    by_hand = sum(math.log1p(math.exp(x)) for x in (1, -2, 0, 0, -3)) / 5
    assert head.loss(THREE_RANKS, RANKS).item() == pytest.approx(by_hand, rel=1e-12)
    assert head.decode(THREE_RANKS).flatten().tolist() == [1, 1, 0]
    assert cumulative(THREE_RANKS)[2].tolist() == pytest.approx([0.5, 0.476287], abs=5e-7)


def test_corn_known_predictions() -> None:
    logits = torch.tensor([[14.152, -6.1942, 0.4771, 0.9685], [65.667, 0.303, 11.5, -4.524]])
    assert ranks_head(5, conditional=True).decode(logits).flatten().tolist() == [1, 3]


@pytest.mark.parametrize("seed", range(4))
def test_corn_of_zero_logits_is_log_2_for_any_labels(seed: int) -> None:
    labels = whole(12, 9, 1, seed=seed).float()
    loss = ranks_head(12, conditional=True).loss(torch.zeros(9, 11, dtype=torch.float64), labels)
    assert loss.item() == pytest.approx(math.log(2), rel=1e-14)


def test_corn_puts_a_question_only_to_those_above_the_threshold_before() -> None:
    ranks = whole(8, 40)
    _, gradient = value_and_gradient(
        lambda leaf: ranks_head(8, conditional=True).loss(leaf, ranks[:, None].float()), normal(40, 7)
    )
    for i, rank in enumerate(ranks.tolist()):
        for t in range(7):
            assert (gradient[i, t].item() == 0) == (rank < t)


def test_corn_probabilities_never_rise_along_the_thresholds() -> None:
    probabilities = cumulative(3 * normal(50, 12))
    assert (probabilities.diff(dim=1) <= 1e-15).all()
    assert (probabilities >= 0).all()


def test_corn_counts_right_over_500_ranks() -> None:
    logits = 7 + normal(12, 499, seed=1)
    logits[0], logits[1] = 9.0, -100.0
    probabilities = [reference.above(row, conditional=True) for row in logits.tolist()]
    assert min(abs(p - 0.5) for row in probabilities for p in row) > 1e-5, "too near to one half for float32"
    expected = [len([p for p in row if p > 0.5]) for row in probabilities]
    assert {0, 499} < set(expected)
    assert ranks_head(500, conditional=True).decode(logits.float()).flatten().tolist() == expected


@pytest.mark.parametrize("conditional", [False, True])
def test_nothing_underflows_over_500_ranks(conditional: bool) -> None:
    head = ranks_head(500, conditional=conditional, decode="expected")
    for logits in (torch.zeros(3, 499), torch.full((3, 499), -90.0), (1e4 * normal(3, 499)).float()):
        loss, gradient = value_and_gradient(lambda leaf: head.loss(leaf, torch.tensor([[0.0], [250], [499]])), logits)
        assert loss.isfinite()
        assert gradient.isfinite().all()
        prediction = head.decode(logits)
        assert ((prediction >= 0) & (prediction <= 499)).all()
    zero = head.decode(torch.zeros(1, 499)).item()
    assert zero == pytest.approx(1.0 if conditional else 499 / 2)  # 1/2 + 1/4 + ...


@pytest.mark.parametrize("conditional", [False, True])
def test_certain_answers_give_the_labels_own_bin_by_either_decoding(conditional: bool) -> None:
    grid = GRIDS[1]
    labels = labels_over([grid], 30)
    bins = grid.bins(labels)
    logits = torch.where(bins > torch.arange(grid.count - 1), 200.0, -200.0)
    for decode in ("count", "expected"):
        prediction = head_over(grid, conditional=conditional, decode=decode).decode(logits)
        torch.testing.assert_close(prediction, grid.value(bins.float()))
        error = (prediction - grid.clamp(labels)).abs().max().item()
        assert error <= grid.step / 2 + 1e-6
    assert head_over(grid, conditional=conditional).loss(logits, labels).item() == pytest.approx(0, abs=1e-6)


def test_task_weights_are_square_roots_of_the_counts_with_a_mean_of_one() -> None:
    grids = [Grid(0, 1, 6), Grid(-1, 0.5, 5)]
    labels = torch.tensor([[0, -1], [0, 9], [1.4, 0.1], [3, 0.2], [3, 0.3], [3.2, -7], [5, 0.9], [99, -0.74]])
    head = head_over(*grids, task_weights="sqrt_frequency")
    assert head.task_weights.tolist() == [1.0] * 9
    head.fit_labels(labels)
    expected: list[float] = []
    for d, grid in enumerate(grids):
        centres = reference.centres_of(grid.low, grid.step, grid.count)
        counts = Counter(reference.nearest(label, centres) for label in labels[:, d].tolist())
        roots = [math.sqrt(max(counts[t], 1)) for t in range(grid.count - 1)]  # the highest rank asks no question
        expected += [root / (sum(roots) / len(roots)) for root in roots]
    assert head.task_weights.tolist() == pytest.approx(expected)
    assert len(set(expected)) > 4


def test_task_weights_scaled_to_a_sum_of_one_are_the_papers() -> None:
    ranks = torch.tensor([0] * 9 + [1] * 4 + [2] * 1 + [3] * 16)
    head = ranks_head(4, task_weights="sqrt_frequency")
    head.fit_labels(ranks[:, None].float())
    assert (head.task_weights / 3).tolist() == pytest.approx([3 / 6, 2 / 6, 1 / 6])


def test_without_the_option_labels_leave_the_task_weights_alone() -> None:
    head = ranks_head(4)
    head.fit_labels(torch.tensor([[0.0], [0.0], [1.0]]))
    assert head.task_weights.tolist() == [1.0] * 3


def test_fitted_task_weights_travel_with_the_state() -> None:
    head, other = (ranks_head(4, task_weights="sqrt_frequency") for _ in range(2))
    head.fit_labels(whole(4, 50, 1).float())
    other.load_state_dict(head.state_dict())
    torch.testing.assert_close(other.task_weights, head.task_weights, rtol=0, atol=0)
    assert other.task_weights.tolist() != [1.0] * 3


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("decode", ["count", "expected"])
@pytest.mark.parametrize("grid", [Grid(-4.2, 0.1, 85), Grid(0.1, 0.7, 11), Grid(-1, 1 / 3, 7)], ids=str)
def test_rounding_does_not_take_the_prediction_out_of_the_grid(grid: Grid, decode: Any, conditional: bool) -> None:
    count = grid.count - 1
    certain = torch.tensor([[1e4], [17.0], [-1e4]]).expand(3, count)
    logits = torch.cat([20 * normal(500, count).float(), certain])
    prediction = head_over(grid, conditional=conditional, decode=decode).decode(logits)
    assert prediction.min() == grid.centres()[0]
    assert prediction.max() == grid.centres()[-1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decode": "mode"}, "decode must be count or expected, got 'mode'"),
        ({"task_weights": "sqrt"}, "task_weights must be none or sqrt_frequency, got 'sqrt'"),
        ({"conditional": True, "task_weights": "sqrt_frequency"}, "task_weights are defined for OR"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ranks_head(3, **settings)


def test_an_open_range_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"dimensions\.yaw: low and high are needed"):
        OrdinalHead(4, TargetSpec({"pitch": {"low": 0, "high": 1}, "yaw": {"low": 0}}))
