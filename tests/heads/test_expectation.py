import math
from typing import Any

import heads_reference as reference
import pytest
import torch
from torch import Tensor

from rnc_lightning.heads import ExpectationHead
from rnc_lightning.heads.expectation import cross_entropy_to_bin, divergence_from_gaussian
from rnc_lightning.targets import Grid, TargetSpec

AGES = Grid(low=0, step=1, count=101)
GRIDS = [Grid(-3, 1.5, 5), Grid(0, 0.25, 9), Grid(10, 20, 2)]
CENTRES = [reference.centres_of(grid.low, grid.step, grid.count) for grid in GRIDS]
HARD = {"labels": "hard"}
DLDL = {"labels": "gaussian", "expectation_error": "l1"}
SAMPLE_LOSSES: dict[str, tuple[dict[str, Any], Any]] = {
    "dex": (HARD, reference.dex),
    "dldl_v2": (DLDL, reference.dldl(sigma=2.0, expectation_weight=1.0)),
    "narrow": ({**DLDL, "sigma": 0.6, "expectation_weight": 0.3}, reference.dldl(0.6, 0.3)),
    "squared": ({**DLDL, "expectation_error": "mse"}, reference.dldl(2.0, 1.0, reference.square)),
    "divergence": ({"labels": "gaussian"}, reference.dldl(2.0, 0.0)),
}


def spec(*grids: Grid) -> TargetSpec:
    return TargetSpec({f"d{d}": {"low": g.low, "high": g.high, "step": g.step} for d, g in enumerate(grids)})


def head_over(*grids: Grid, **settings: Any) -> ExpectationHead:
    head = ExpectationHead(4, spec(*grids), **settings)
    assert head.grids == list(grids)
    return head


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def labels_over(grids: list[Grid], rows: int, seed: int = 1) -> Tensor:
    """Labels in the grids' ranges, somewhat beyond, and on a tie."""
    columns = [grid.low + (grid.high - grid.low) * (0.5 + normal(rows, seed=seed)) for grid in grids]
    labels = torch.stack(columns, dim=1)
    labels[0] = torch.tensor([grid.low + 0.5 * grid.step for grid in grids], dtype=torch.float64)
    return labels


def distribution(label: float, sigma: float = 2.0, grid: Grid = AGES) -> Tensor:
    """The distribution p that a label stands for: minus the gradient of KL(p || q) by log q."""
    log_q = torch.zeros(1, grid.count, dtype=torch.float64, requires_grad=True)
    divergence_from_gaussian(log_q, torch.tensor([label], dtype=torch.float64), grid, sigma).sum().backward()
    assert log_q.grad is not None
    return -log_q.grad[0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", SAMPLE_LOSSES)
def test_loss_and_gradient_equal_the_loops(name: str, dims: int, weighted: bool) -> None:
    settings, sample_loss = SAMPLE_LOSSES[name]
    grids, centres = GRIDS[:dims], CENTRES[:dims]
    reference.assert_loss_is(
        head_over(*grids, **settings),
        lambda outputs, labels, weight: reference.expectation_loss(outputs, labels, centres, sample_loss, weight),
        2 * normal(6, sum(map(len, centres))),
        labels_over(grids, 6),
        normal(6, seed=2).abs() if weighted else None,
    )


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_prediction_equals_the_loops(dims: int) -> None:
    grids, centres = GRIDS[:dims], CENTRES[:dims]
    outputs = 2 * normal(7, sum(map(len, centres)))
    expected, modes = [], []
    for row in outputs.tolist():
        parts = reference.split(row, [len(c) for c in centres])
        expected.append([reference.expectation(logits, c) for logits, c in zip(parts, centres, strict=True)])
        modes.append([c[logits.index(max(logits))] for logits, c in zip(parts, centres, strict=True)])
    torch.testing.assert_close(head_over(*grids).decode(outputs), torch.tensor(expected, dtype=torch.float64))
    assert head_over(*grids, decode="mode").decode(outputs).tolist() == modes


def test_equal_logits_give_the_middle_and_the_log_of_the_number_of_bins() -> None:
    head, outputs = head_over(AGES), torch.zeros(1, 101, dtype=torch.float64)
    assert head.decode(outputs).item() == pytest.approx(50, abs=1e-12)
    assert head.loss(outputs, torch.tensor([[30.0]])).item() == pytest.approx(4.615121, abs=5e-7)


def test_two_bins_by_hand() -> None:
    head = head_over(Grid(10, 10, 2))
    outputs = torch.tensor([[0.0, math.log(3)]], dtype=torch.float64)
    assert head.decode(outputs).item() == pytest.approx(17.5, abs=1e-12)
    assert head.loss(outputs, torch.tensor([[20.0]])).item() == pytest.approx(0.287682, abs=5e-7)


@pytest.mark.parametrize("settings", [HARD, DLDL])
def test_a_constant_added_to_all_logits_changes_nothing(settings: dict) -> None:
    head, outputs, labels = head_over(AGES, **settings), normal(5, 101), 100 * normal(5, 1, seed=1).sigmoid()
    torch.testing.assert_close(head.loss(outputs + 123.0, labels), head.loss(outputs, labels))
    torch.testing.assert_close(head.decode(outputs + 123.0), head.decode(outputs))


def test_the_prediction_is_the_expectation_and_not_the_mode() -> None:
    outputs = torch.full((1, 101), -1e4, dtype=torch.float64)
    outputs[0, [10, 90]] = torch.tensor([0.4, 0.6], dtype=torch.float64).log()
    assert head_over(AGES).decode(outputs).item() == pytest.approx(0.4 * 10 + 0.6 * 90)
    assert head_over(AGES, decode="mode").decode(outputs).item() == 90


def test_gaussian_label_in_the_middle_of_the_grid() -> None:
    p = distribution(50.0)
    assert p.max().item() == pytest.approx(0.1994711, abs=5e-8)
    assert -(p * p.log()).sum().item() == pytest.approx(2.1120857, abs=5e-8)
    outputs, label = torch.zeros(1, 101, dtype=torch.float64), torch.tensor([[50.0]])
    assert head_over(AGES, labels="gaussian").loss(outputs, label).item() == pytest.approx(2.5030348, abs=5e-8)
    assert head_over(AGES, **DLDL).loss(outputs, label).item() == pytest.approx(2.5030348, abs=5e-8)  # its L1 is 0


@pytest.mark.parametrize(
    ("label", "mean", "tolerance"), [(50.3, 50.3, 1e-10), (0.0, 1.3023201, 5e-8), (99.0, 98.2201085, 5e-8)]
)
def test_mean_of_a_gaussian_label_is_drawn_inwards_at_the_edge(label: float, mean: float, tolerance: float) -> None:
    centres = AGES.centres(torch.zeros(0, dtype=torch.float64))
    assert (distribution(label) @ centres).item() == pytest.approx(mean, abs=tolerance)


def test_gaussian_label_at_the_edge_is_normalised_over_the_grid() -> None:
    p = distribution(0.0)
    assert p.max().item() == pytest.approx(0.3325985, abs=5e-8)
    assert p.sum().item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("label", [0.0, 50.0, 50.3, 99.0])
def test_divergence_is_zero_where_the_logits_are_the_labels_own(label: float) -> None:
    logits = -((torch.arange(101, dtype=torch.float64) - label) ** 2 / 8)[None]
    target = torch.tensor([[label]], dtype=torch.float64)
    assert head_over(AGES, labels="gaussian").loss(logits, target).item() == pytest.approx(0, abs=1e-12)
    if 20 < label < 80:  # nearer to the edge the mean of the distribution is not the label
        assert head_over(AGES, **DLDL).loss(logits, target).item() == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize("sigma", [1e-2, 1e-10])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_narrow_gaussian_at_a_centre_is_the_hard_label(sigma: float, dtype: torch.dtype) -> None:
    leaves = [normal(4, 101).to(dtype).requires_grad_() for _ in range(2)]
    labels = torch.tensor([[0.0], [7.0], [50.0], [100.0]])
    losses = [
        head_over(AGES, labels="gaussian", sigma=sigma).loss(leaves[0], labels),
        head_over(AGES).loss(leaves[1], labels),
    ]
    for loss in losses:
        loss.backward()
    torch.testing.assert_close(*losses)
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad)


def test_sigma_counts_bins_whatever_their_width() -> None:
    fine, coarse = Grid(0, 0.1, 41), Grid(0, 10, 41)
    torch.testing.assert_close(distribution(1.23, grid=fine), distribution(123.0, grid=coarse))


def test_probabilities_too_small_for_float32_are_no_trouble() -> None:
    outputs = (1000 * normal(3, 101)).float().requires_grad_()
    loss = head_over(AGES, **DLDL).loss(outputs, torch.tensor([[0.0], [50.0], [100.0]]))
    loss.backward()
    assert loss.isfinite()
    assert outputs.grad is not None
    assert outputs.grad.isfinite().all()


@pytest.mark.parametrize("decode", ["expected", "mode"])
@pytest.mark.parametrize("grid", [Grid(-4.2, 0.1, 85), Grid(0.1, 0.7, 11), Grid(-1, 1 / 3, 7)], ids=str)
def test_rounding_does_not_take_the_prediction_out_of_the_grid(grid: Grid, decode: Any) -> None:
    logits = torch.cat([20 * normal(500, grid.count), 1e4 * torch.eye(grid.count)]).float()
    prediction = head_over(grid, decode=decode).decode(logits)
    centres = grid.centres()
    assert prediction.min() >= centres[0]
    assert prediction.max() <= centres[-1]


def test_probabilities_that_add_up_to_more_than_one_do_not_take_the_prediction_out_of_the_grid() -> None:
    logits = torch.full((1, 128), -1e4)
    logits[0, 126:] = torch.tensor([math.log(5e-8), 0.0])  # in float32 the last one is 1 all the same
    assert (logits.softmax(dim=1) * torch.arange(128)).sum() > 127
    assert head_over(Grid(0, 1, 128)).decode(logits).item() == 127


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": "soft"}, "labels must be hard or gaussian, got 'soft'"),
        ({"sigma": 0.0}, "sigma must be a positive number, got 0.0"),
        ({"sigma": math.nan}, "sigma must be a positive number"),
        ({"expectation_error": "huber"}, "expectation_error must be l1, mse or null, got 'huber'"),
        ({"decode": "median"}, "decode must be expected or mode, got 'median'"),
    ],
)
def test_settings_are_checked(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head_over(AGES, **settings)


def test_an_open_range_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"dimensions\.yaw: low and high are needed"):
        ExpectationHead(4, TargetSpec({"pitch": {"low": 0, "high": 1}, "yaw": {"low": 0}}))


def l2cs_net(**changes: Any) -> ExpectationHead:
    """The released code's bins of MPIIFaceGaze: 28 of 3 degrees, each standing for its lower end."""
    target = TargetSpec({"yaw": {"low": -42, "high": 42, "step": 3}})
    return ExpectationHead(4, target, labels="hard", expectation_error="mse", left_edges=True, **changes)


def test_l2cs_net_as_released() -> None:
    """Section 5.5: zero logits at 0 degrees cost ln 28 + 1.5^2, and decode half a step too low."""
    head = l2cs_net()
    outputs, zero = torch.zeros(1, 28), torch.zeros(1, 1)
    assert head.linear.out_features == 28
    assert head.decode(outputs).item() == pytest.approx(-1.5, abs=1e-4)
    assert head.loss(outputs, zero).item() == pytest.approx(5.582205, abs=1e-4)
    assert l2cs_net(expectation_weight=0.0).loss(outputs, zero).item() == pytest.approx(3.332205, abs=1e-6)


@pytest.mark.parametrize(("degrees", "expected"), [(-42, 0), (0, 14), (2.99, 14), (3, 15), (41.9, 27), (42, 27)])
def test_bins_by_their_left_edges(degrees: float, expected: int) -> None:
    log_probabilities = torch.arange(28.0)[None]
    loss = cross_entropy_to_bin(log_probabilities, torch.tensor([degrees]), l2cs_net().grids[0], left_edges=True)
    assert loss.item() == -expected


@pytest.mark.parametrize(("label", "squared"), [(41.0, 4.0), (42.0, 9.0), (39.0, 0.0), (-42.0, 81.0**2), (45.0, 9.0)])
def test_the_squared_error_of_left_edges_reaches_to_the_end_of_the_last_bin(label: float, squared: float) -> None:
    """The released code compares the expectation with the label itself; it drops samples beyond 42 degrees."""
    outputs = torch.full((1, 28), -1e4)
    outputs[0, -1] = 0  # predicts 39, the lower edge of the last bin
    total, without = (
        l2cs_net(expectation_weight=weight).loss(outputs, torch.tensor([[label]])).item() for weight in (1, 0)
    )
    assert total - without == pytest.approx(squared, abs=1e-2)


def test_centred_bins_have_no_such_offset() -> None:
    target = TargetSpec({"yaw": {"low": -42, "high": 42, "step": 3}})
    head = ExpectationHead(4, target, expectation_error="mse")
    assert head.decode(torch.zeros(1, 29)).item() == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match="left_edges"):
        ExpectationHead(4, target, labels="gaussian", left_edges=True)
