"""RankSim: oracles and a slow reference of loss and gradient."""

import pytest
import torch
from torch import Tensor

from rnc_lightning.regularizers.ranksim import RankSim, descending_ranks, draw_one_per_label, ranksim_loss


def ranks(row: list[float]) -> list[float]:
    """Descending, of equal entries the first before the second, divided by their number."""
    order = sorted(range(len(row)), key=lambda k: (-row[k], k))
    return [(order.index(k) + 1) / len(row) for k in range(len(row))]


def slow(features: Tensor, targets: list[float], interpolation: float) -> tuple[float, Tensor]:
    """The loss, and the gradient of the matrix of cosines by the rule of blackbox differentiation."""
    z = features / features.norm(dim=1, keepdim=True)
    cosines = (z @ z.T).tolist()
    loss, gradient = 0.0, []
    for row, y in zip(cosines, targets, strict=True):
        found, wanted = ranks(row), ranks([-abs(y - other) for other in targets])
        loss += sum((f - w) ** 2 for f, w in zip(found, wanted, strict=True)) / len(row)
        of_ranks = [2 * (f - w) / len(row) for f, w in zip(found, wanted, strict=True)]
        moved = ranks([s + interpolation * g for s, g in zip(row, of_ranks, strict=True)])
        gradient.append([-(f - m) / (interpolation + 1e-8) for f, m in zip(found, moved, strict=True)])
    return loss, torch.tensor(gradient, dtype=features.dtype)


def fan(angles: list[float]) -> Tensor:
    found = torch.tensor(angles, dtype=torch.float64)
    return torch.stack([found.cos(), found.sin()], dim=1)


def test_ranks() -> None:
    assert descending_ranks(torch.tensor([0.1, 0.5, 0.3])).tolist() == pytest.approx([1, 1 / 3, 2 / 3])
    assert descending_ranks(torch.tensor([1.0, 1.0, 2.0])).tolist() == pytest.approx([2 / 3, 1, 1 / 3])


def test_the_published_oracles() -> None:
    labels = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert ranksim_loss(fan([0, 0.1, 0.3, 0.7]), labels).item() == 0
    assert ranksim_loss(fan([0, 0.1, 0.7, 0.3]), labels).item() == pytest.approx(0.25)


@pytest.mark.parametrize("interpolation", [0.5, 2.0, 50.0])
def test_loss_and_gradient_are_the_slow_ones(interpolation: float) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(7, 5, generator=generator, dtype=torch.float64)
    targets = [3.0, 1.0, 4.0, 1.5, 5.0, 9.0, 2.0]
    expected, of_cosines = slow(features, targets, interpolation)
    leaf = features.clone().requires_grad_()
    loss = ranksim_loss(leaf, torch.tensor(targets)[:, None], interpolation=interpolation)
    assert loss.item() == pytest.approx(expected)
    (gradient,) = torch.autograd.grad(loss, leaf)
    again = features.clone().requires_grad_()
    z = torch.nn.functional.normalize(again, dim=1)
    (wanted,) = torch.autograd.grad((z @ z.T * of_cosines).sum(), again)
    torch.testing.assert_close(gradient, wanted)
    assert wanted.abs().max() > 0


def test_there_is_no_gradient_where_no_rank_changes() -> None:
    leaf = fan([0, 0.1, 0.3, 0.7]).requires_grad_()
    ranksim_loss(leaf, torch.tensor([[0.0], [1.0], [3.0], [7.0]])).backward()
    assert not leaf.grad.any()


def test_one_sample_a_label_is_drawn() -> None:
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 2.0], [0.0, 0.0], [1.0, 0.0]])
    found = {tuple(draw_one_per_label(targets, seed).tolist()) for seed in range(30)}
    assert found == {(3, first, 2) for first in (0, 1, 4)}
    assert draw_one_per_label(targets, 5).tolist() == draw_one_per_label(targets, 5).tolist()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_module_over_views_and_vector_labels(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    features = torch.randn(6, 2, 4).to(dtype).requires_grad_()
    loss = RankSim(target_distance="l2")(features, torch.randn(6, 2))
    loss.backward()
    assert loss.dtype == torch.float32
    assert torch.isfinite(features.grad).all()


def test_one_label_costs_nothing() -> None:
    features = torch.randn(5, 1, 4, requires_grad=True)
    loss = RankSim()(features, torch.ones(5, 1))
    loss.backward()
    assert float(loss) == 0
    assert not features.grad.any()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="interpolation"):
        RankSim(interpolation=0)
    with pytest.raises(ValueError, match="target_distance"):
        RankSim(target_distance="l3")
