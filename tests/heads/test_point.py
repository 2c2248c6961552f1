import math

import heads_reference as reference
import pytest
import torch

from rnc_lightning.heads import PointHead
from rnc_lightning.heads.point import point_error
from rnc_lightning.targets import TargetSpec

ONE = TargetSpec({"age": {}})
TWO = TargetSpec({"pitch": {}, "yaw": {}})
ERRORS = {"l1": reference.absolute, "mse": reference.square, "huber": reference.huber(0.7)}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("criterion", ERRORS)
def test_loss_and_gradient_equal_the_loops(criterion: str, dims: int, weighted: bool) -> None:
    head = PointHead(4, TargetSpec({f"d{d}": {} for d in range(dims)}), criterion, delta=0.7)  # type: ignore[arg-type]
    reference.assert_loss_is(
        head,
        lambda outputs, labels, weight: reference.point_loss(outputs, labels, ERRORS[criterion], weight),
        normal(6, dims),
        normal(6, dims, seed=1),
        normal(6, seed=2).abs() if weighted else None,
    )


def test_loss_and_gradient_by_hand() -> None:
    outputs = torch.tensor([[1.0, 2.0], [-3.0, 4.0]], requires_grad=True)
    target = torch.tensor([[2.0, 2.5], [-5.0, 4.0]])
    loss = PointHead(3, TWO).loss(outputs, target)
    loss.backward()
    assert loss.item() == pytest.approx((1 + 0.5 + 2 + 0) / 4)
    torch.testing.assert_close(outputs.grad, torch.tensor([[-1.0, -1.0], [1.0, 0.0]]) / 4)


def test_gradient_of_mse_is_twice_the_error_over_all_elements() -> None:
    outputs = torch.tensor([[1.0, 2.0], [-3.0, 4.0]], requires_grad=True)
    target = torch.tensor([[2.0, 2.5], [-5.0, 4.0]])
    PointHead(3, TWO, "mse").loss(outputs, target).backward()
    torch.testing.assert_close(outputs.grad, 2 * (outputs.detach() - target) / 4)


@pytest.mark.parametrize(("delta", "expected"), [(1.0, (0.125, 1.5)), (0.5, (0.125, 0.875))])
def test_huber_known_values(delta: float, expected: tuple[float, float]) -> None:
    assert point_error(torch.tensor([0.5, 2.0]), torch.zeros(2), "huber", delta).tolist() == list(expected)


def test_huber_is_delta_times_smooth_l1_of_that_beta() -> None:
    errors = torch.tensor([0.5, 2.0])
    smooth = torch.nn.functional.smooth_l1_loss(errors, torch.zeros(2), beta=0.5, reduction="none")
    assert smooth.tolist() == [0.25, 1.75]
    torch.testing.assert_close(point_error(errors, torch.zeros(2), "huber", 0.5), 0.5 * smooth)


def test_huber_is_square_within_delta_and_linear_beyond() -> None:
    near, far = torch.tensor([0.3, -0.9]), torch.tensor([3.0, -9.0])
    torch.testing.assert_close(point_error(near, torch.zeros(2), "huber"), near**2 / 2)
    torch.testing.assert_close(point_error(far, torch.zeros(2), "huber"), far.abs() - 0.5)


def test_weights_multiply_each_sample() -> None:
    head, outputs, target = PointHead(3, ONE), torch.tensor([[1.0], [5.0]]), torch.tensor([[0.0], [0.0]])
    assert head.loss(outputs, target, torch.tensor([3.0, 0.5])).item() == pytest.approx((3 * 1 + 0.5 * 5) / 2)


def test_half_precision_outputs_are_measured_in_float32() -> None:
    outputs = torch.full((4096, 1), 100.0, dtype=torch.float16)
    assert PointHead(3, ONE).loss(outputs, torch.zeros(4096, 1)).item() == pytest.approx(100.0)
    assert PointHead(3, ONE, "mse").loss(10 * outputs, torch.zeros(4096, 1)).item() == pytest.approx(1e6)


def test_whole_labels_of_any_type_are_measured_as_numbers() -> None:
    outputs = torch.tensor([[1.5]])
    for dtype in (torch.int64, torch.float16, torch.float64):
        assert PointHead(3, ONE).loss(outputs, torch.tensor([[3]], dtype=dtype)).item() == 1.5


def test_criterion_is_checked() -> None:
    with pytest.raises(ValueError, match="criterion must be l1, mse or huber, got 'l3'"):
        PointHead(3, ONE, criterion="l3")  # type: ignore[arg-type]


@pytest.mark.parametrize("delta", [0.0, -1.0, math.nan])
def test_delta_is_checked(delta: float) -> None:
    with pytest.raises(ValueError, match="delta must be a positive number"):
        PointHead(3, ONE, "huber", delta)
