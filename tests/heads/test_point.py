import pytest
import torch

from rnc_lightning.heads import PointHead
from rnc_lightning.targets import TargetSpec

ONE = TargetSpec({"age": {}})
TWO = TargetSpec({"pitch": {}, "yaw": {}})


def test_loss_and_gradient_by_hand() -> None:
    outputs = torch.tensor([[1.0, 2.0], [-3.0, 4.0]], requires_grad=True)
    target = torch.tensor([[2.0, 2.5], [-5.0, 4.0]])
    loss = PointHead(3, TWO).loss(outputs, target)
    loss.backward()
    assert loss.item() == pytest.approx((1 + 0.5 + 2 + 0) / 4)
    torch.testing.assert_close(outputs.grad, torch.tensor([[-1.0, -1.0], [1.0, 0.0]]) / 4)


def test_weights_multiply_each_sample() -> None:
    head, outputs, target = PointHead(3, ONE), torch.tensor([[1.0], [5.0]]), torch.tensor([[0.0], [0.0]])
    assert head.loss(outputs, target, torch.tensor([3.0, 0.5])).item() == pytest.approx((3 * 1 + 0.5 * 5) / 2)
    assert head.loss(outputs, target, torch.ones(2)) == head.loss(outputs, target)


def test_a_target_without_its_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match="target"):
        PointHead(3, ONE).loss(torch.zeros(4, 1), torch.zeros(4))


def test_half_precision_outputs_are_measured_in_float32() -> None:
    outputs = torch.full((4096, 1), 100.0, dtype=torch.float16)
    assert PointHead(3, ONE).loss(outputs, torch.zeros(4096, 1)).item() == pytest.approx(100.0)


def test_criterion_is_checked() -> None:
    with pytest.raises(ValueError, match="criterion"):
        PointHead(3, ONE, criterion="l3")  # type: ignore[arg-type]
