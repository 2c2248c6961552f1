"""Balanced MSE: the published numbers, a slow reference, its own learning rate."""

import math
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnc_lightning.heads import BalancedMSEHead
from rnc_lightning.stages import CosinePerEpoch, Regress
from rnc_lightning.targets import TargetSpec

ONE, TWO = TargetSpec({"age": {}}), TargetSpec({"pitch": {}, "yaw": {}})


def head(sigma: float = 1.0, target: TargetSpec = ONE, **more: Any) -> BalancedMSEHead:
    torch.manual_seed(0)
    return BalancedMSEHead(4, target, sigma=sigma, **more)


def column(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None]


def slow(outputs: Tensor, target: Tensor, sigma: Tensor) -> Tensor:
    rows = []
    for prediction, label in zip(outputs, target, strict=True):
        logits = [-((prediction - other) ** 2).sum() / (2 * sigma**2) for other in target]
        own = -((prediction - label) ** 2).sum() / (2 * sigma**2)
        rows.append(torch.log(sum(logit.exp() for logit in logits)) - own)
    return torch.stack(rows).mean() * (2 * sigma**2).detach()


@pytest.mark.parametrize(
    ("sigma", "outputs", "target", "expected"),
    [
        (1.0, (3.0,), (7.0,), 0.0),
        (2.0, (5.0, 5.0, 5.0), (5.0, 5.0, 5.0), 2 * 4 * math.log(3)),
        (1.0, (0.0, 1.0), (0.0, 2.0), 0.820075),
        (1.0, (0.0, 2.0), (0.0, 2.0), 0.253856),
    ],
)
def test_the_published_oracles(
    sigma: float, outputs: tuple[float, ...], target: tuple[float, ...], expected: float
) -> None:
    assert head(sigma).loss(column(*outputs), column(*target)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("target", [ONE, TWO], ids=["D=1", "D=2"])
def test_loss_and_gradients_are_the_slow_ones(target: TargetSpec) -> None:
    module = head(1.7, target).double()
    outputs = torch.randn(6, len(target), dtype=torch.float64).requires_grad_()
    labels = torch.randn(6, len(target), dtype=torch.float64) * 3
    found, expected = module.loss(outputs, labels), slow(outputs, labels, module.sigma)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, (outputs, module.sigma)) for value in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert gradients[0][1].abs() > 1e-3  # although the factor has none


def test_weights_scale_samples_and_far_predictions_are_finite() -> None:
    module = head()
    outputs, labels = torch.randn(3, 1, requires_grad=True), torch.tensor([[1.0], [2.0], [2.0]])
    loss = module.loss(outputs, labels, torch.tensor([0.0, 3.0, 0.0]))
    (gradient,) = torch.autograd.grad(loss, outputs)
    assert gradient[0] == gradient[2] == 0
    assert gradient[1] != 0
    far = (1e6 * torch.randn(4, 1)).requires_grad_()
    module.loss(far, torch.arange(4.0)[:, None]).backward()
    assert torch.isfinite(far.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    outputs, labels = torch.randn(5, 1).to(dtype), torch.randn(5, 1)
    loss = head().loss(outputs, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, head().loss(outputs.float(), labels))


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match="must have the shape of outputs"):
        head().loss(torch.zeros(3, 1), torch.zeros(3))
    with pytest.raises(ValueError, match="sigma must be a positive number"):
        head(0.0)
    with pytest.raises(ValueError, match="sigma_lr"):
        head(sigma_lr=0.0)


class _Flat(nn.Module):
    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


@pytest.mark.parametrize("sigma_lr", [0.25, None])
def test_sigma_learns_at_its_own_rate_without_decay(sigma_lr: float | None) -> None:
    stage = Regress(
        head=partial(BalancedMSEHead, sigma_lr=sigma_lr),
        encoder=_Flat(),
        target=ONE,
        optimizer=partial(torch.optim.SGD, lr=0.01, momentum=0.9, weight_decay=0.1),
        schedule=partial(CosinePerEpoch, decay_rate=0.1),
        epochs=10,
    )
    configured = stage.configure_optimizers()
    groups = configured["optimizer"].param_groups
    everything = [id(p) for group in groups for p in group["params"]]
    assert len(everything) == len(set(everything))
    of_sigma = [group for group in groups if any(p is stage.head.sigma for p in group["params"])]
    if sigma_lr is None:
        assert not of_sigma
        assert len(groups) == 1
        return
    assert of_sigma[0]["initial_lr"] == 0.25
    assert of_sigma[0]["weight_decay"] == 0
    assert of_sigma[0]["momentum"] == 0.9
    assert groups[0]["initial_lr"] == 0.01
    assert len(everything) == len(list(stage.parameters()))
