"""DINO's loss against sums written out, a library, and numbers known beforehand."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rnc_lightning.objectives.dino import DINO, DINOHead, dino_loss, momentum_at, temperature_at, update_teacher

SHAPES = [(5, 2, 2, 7), (3, 5, 2, 4), (1, 3, 1, 6), (1, 2, 2, 2), (4, 3, 3, 1)]  # B, S, T, K


def _outputs(b: int, s: int, t: int, k: int, seed: int = 0, scale: float = 0.3) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    made = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((b, s, k), (b, t, k), (k,))]
    return made[0] * scale, made[1] * scale, made[2] * scale


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


def _reference(student: Tensor, teacher: Tensor, centre: Tensor, ts: float, tt: float) -> tuple[float, np.ndarray]:
    """One pair at a time, and the gradient (q_s - p_t) / T_s of each by hand."""
    g, h, c = student.double().numpy(), teacher.double().numpy(), centre.double().numpy()
    gradient, losses = np.zeros_like(g), []
    for b in range(g.shape[0]):
        for t in range(h.shape[1]):
            for s in range(g.shape[1]):
                if s == t:
                    continue
                p, x = _softmax((h[b, t] - c) / tt), g[b, s] / ts
                losses.append(-(p * (x - x.max() - np.log(np.exp(x - x.max()).sum()))).sum())
                gradient[b, s] += (_softmax(x) - p) / ts
    return float(np.mean(losses)), gradient / len(losses)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("temperatures", [(0.1, 0.04), (0.5, 1.0)])
def test_loss_and_gradient_are_those_written_out(
    shape: tuple[int, int, int, int], temperatures: tuple[float, float]
) -> None:
    student, teacher, centre = _outputs(*shape)
    leaf, other = student.clone().requires_grad_(), teacher.clone().requires_grad_()
    loss = dino_loss(leaf, other, centre, *temperatures)
    loss.backward()
    expected, gradient = _reference(student, teacher, centre, *temperatures)
    assert loss.item() == pytest.approx(expected, rel=1e-12, abs=1e-15)
    np.testing.assert_allclose(leaf.grad, gradient, rtol=1e-10, atol=1e-14)
    assert other.grad is None


def test_gradcheck() -> None:
    student, teacher, centre = _outputs(2, 4, 2, 3)
    assert torch.autograd.gradcheck(lambda x: dino_loss(x, teacher, centre), student.requires_grad_())


def test_lightly_says_the_same_over_several_batches() -> None:
    from lightly.loss import DINOLoss

    theirs = DINOLoss(8, warmup_teacher_temp=0.03, teacher_temp=0.06, warmup_teacher_temp_epochs=3)
    ours = DINO(
        4,
        prototypes=8,
        hidden_features=4,
        bottleneck=4,
        teacher_temperature=0.03,
        teacher_temperature_end=0.06,
        teacher_warmup_epochs=3,
    )
    for epoch in range(5):
        student, teacher, _ = (x.float() for x in _outputs(6, 5, 2, 8, seed=epoch))
        one, other = student.clone().requires_grad_(), student.clone().requires_grad_()
        loss = ours(one, teacher, epoch)
        expected = theirs(list(teacher.unbind(1)), list(other.unbind(1)), epoch=epoch)
        torch.testing.assert_close(loss, expected, rtol=1e-5, atol=0)
        for value in (loss, expected):
            value.backward()
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(ours.centre, theirs.center.flatten(), rtol=1e-5, atol=1e-7)


def test_lightlys_head_says_the_same_with_the_same_weights() -> None:
    from lightly.models.modules import DINOProjectionHead

    theirs = DINOProjectionHead(5, 6, 4, 9, batch_norm=True, norm_last_layer=True)
    ours = DINOHead(5, prototypes=9, hidden_features=6, bottleneck=4)
    linear = [[m for m in head.layers if isinstance(m, nn.Linear)] for head in (ours, theirs)]
    for one, other in zip(*linear, strict=True):
        one.load_state_dict(other.state_dict())
    directions = dict(theirs.last_layer.named_parameters())
    (name,) = (name for name in directions if name.endswith(("weight_v", "original1")))
    ours.last.weight.data.copy_(3 * directions[name].data)  # only directions count
    x = torch.randn(7, 5)
    torch.testing.assert_close(ours(x), theirs(x))
    assert ours(x).abs().max() <= 1 + 1e-6


def test_a_student_that_says_nothing_loses_ln_k_whatever_the_teacher() -> None:
    _, teacher, centre = _outputs(3, 4, 2, 8)
    loss = dino_loss(torch.zeros(3, 4, 8), teacher.float(), centre.float())
    assert loss.item() == pytest.approx(2.079442, abs=1e-6)


def test_the_centre_moves_by_a_tenth_of_the_mean_after_the_loss_and_only_in_training() -> None:
    student, teacher, _ = (x.float() for x in _outputs(3, 4, 2, 8))
    dino = DINO(4, prototypes=8, hidden_features=4, bottleneck=4)
    dino.eval()(student, teacher)
    assert not dino.centre.any()
    loss = dino.train()(student, teacher)
    torch.testing.assert_close(dino.centre, 0.1 * teacher.mean(dim=(0, 1)))
    torch.testing.assert_close(loss, dino_loss(student, teacher, torch.zeros(8)))
    dino(student, teacher)
    torch.testing.assert_close(dino.centre, 0.19 * teacher.mean(dim=(0, 1)))


def test_a_cold_teacher_names_one_prototype() -> None:
    student, teacher, centre = _outputs(3, 2, 2, 8)
    teacher = teacher[:, :1].expand(-1, 2, -1)
    chosen = (teacher[:, 0] - centre).argmax(dim=-1)
    said = torch.log_softmax(student / 0.1, dim=-1)
    expected = -said[torch.arange(3), :, chosen].mean()
    torch.testing.assert_close(dino_loss(student, teacher, centre, teacher_temperature=1e-9), expected)


def test_the_teachers_entropy_tells_a_collapse() -> None:
    dino = DINO(4, prototypes=8, hidden_features=4, bottleneck=4)
    spread = torch.eye(8)[:, None].expand(-1, 2, -1)
    assert dino.teacher_entropy(spread).item() == pytest.approx(math.log(8), abs=1e-6)
    assert dino.teacher_entropy(spread[:1].expand(8, -1, -1)).item() < 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_also_under_autocast(dtype: torch.dtype) -> None:
    student, teacher, centre = (x.to(dtype) for x in _outputs(4, 4, 2, 33))
    expected = dino_loss(student.float(), teacher.float(), centre.float())
    leaf = student.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = dino_loss(leaf, teacher, centre.float())
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
    loss.backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == dtype
    assert leaf.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1e4, 1e30])
def test_far_logits_stay_finite(scale: float) -> None:
    student, teacher, centre = (x.float() for x in _outputs(4, 3, 2, 5, scale=scale))
    leaf = student.requires_grad_()
    loss = dino_loss(leaf, teacher, centre)
    loss.backward()
    assert loss.isfinite()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


def test_equal_views_and_a_single_sample_have_the_cross_entropy() -> None:
    student, teacher, centre = _outputs(1, 1, 1, 6)
    p = torch.softmax((teacher[0, 0] - centre) / 0.04, dim=-1)
    expected = -(p * torch.log_softmax(student[0, 0] / 0.1, dim=-1)).sum()
    torch.testing.assert_close(dino_loss(student.expand(-1, 5, -1), teacher.expand(-1, 2, -1), centre), expected)


@pytest.mark.parametrize(("momentum", "of_student"), [(1.0, 0.0), (0.0, 1.0), (0.75, 0.25)])
def test_the_teacher_follows_in_its_parameters_alone(momentum: float, of_student: float) -> None:
    teacher, student = (DINOHead(3, 5, 4, 2) for _ in range(2))
    student(torch.randn(9, 3))  # moves its running statistics
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    update_teacher(teacher, student, momentum)
    own = {name for name, _ in teacher.named_parameters()}
    for name, value in teacher.state_dict().items():
        other = student.state_dict()[name]
        expected = momentum * before[name] + of_student * other if name in own else before[name]
        if of_student in (0.0, 1.0):
            assert torch.equal(value, expected), name
        torch.testing.assert_close(value, expected)


def test_schedules() -> None:
    steps = [momentum_at(step, 10, 0.9, 1.0) for step in range(11)]
    assert steps[0] == pytest.approx(0.9)
    assert steps[10] == 1.0
    assert steps == sorted(steps)
    assert {momentum_at(step, 10, 0.99, 0.99) for step in range(11)} == {0.99}
    np.testing.assert_allclose([temperature_at(e, 0.04, 0.07, 5) for e in range(5)], np.linspace(0.04, 0.07, 5))
    assert temperature_at(5, 0.04, 0.07, 5) == temperature_at(0, 0.04, 0.07, 0) == 0.07


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 1, 3), (2, 1, 3), (3,)), "and at least two"),
        (((2, 2, 3), (2, 3, 3), (3,)), "it sees 2, the teacher 3"),
        (((2, 2, 3), (1, 2, 3), (3,)), "do not match"),
        (((2, 2, 3), (2, 2, 3), (4,)), "do not match"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dino_loss(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize(
    "wrong",
    [
        {"prototypes": 0},
        {"student_temperature": 0.0},
        {"teacher_temperature": math.nan},
        {"centre_momentum": 1.1},
        {"teacher_momentum": -0.1},
        {"frozen_last_layer_epochs": -1},
        {"gradient_clip": 0},
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        DINO(4, **wrong)
