"""What every head keeps to, composed from its file in conf/head."""

from collections.abc import Callable
from typing import Any

import heads_reference as reference
import pytest
import torch
import yaml
from hydra.utils import instantiate
from torch import Tensor, nn

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.targets import TargetSpec

POINT = ["l1", "mse", "huber"]
GRIDDED = ["dex", "dldl_v2", "or", "corn", "l2cs_net", "lde"]
HEADS = POINT + GRIDDED
FEATURES = 5
PITCH = {"unit": "rad", "low": -1.2, "high": 1.2, "step": 0.1}
YAW = {"unit": "degrees", "low": 0.0, "high": 11.0, "step": 2.5}  # the last centre, 12.5, is beyond the range
ONE = TargetSpec({"pitch": PITCH})
TWO = TargetSpec({"pitch": PITCH, "yaw": YAW})
TARGETS = pytest.mark.parametrize("target", [ONE, TWO], ids=["D=1", "D=2"])
ALL = pytest.mark.parametrize("name", HEADS)


def make(name: str, target: TargetSpec, in_features: int = FEATURES, **changes: Any) -> nn.Module:
    """The head as its file composes it, with weights that do not depend on earlier tests."""
    config = yaml.safe_load((config_directory() / "head" / f"{name}.yaml").read_text())
    assert config["head_name"] == name
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return instantiate({**config["head"], **changes})(in_features=in_features, target=target)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels_of(target: TargetSpec, rows: int, seed: int = 1) -> Tensor:
    uniform = torch.rand(rows, len(target), generator=torch.Generator().manual_seed(seed))
    low = torch.tensor([grid.low for grid in target.grids])
    high = torch.tensor([grid.high for grid in target.grids])
    return low + (high - low) * uniform


def loss_and_gradient(head: nn.Module, outputs: Tensor, *rest: Tensor | None) -> tuple[Tensor, Tensor]:
    leaf = outputs.detach().clone().requires_grad_()
    loss = head.loss(leaf, *rest)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def assert_identical(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=0)


@ALL
@TARGETS
def test_the_file_composes_the_loss_of_its_name(name: str, target: TargetSpec) -> None:
    centres = [reference.centres_of(grid.low, grid.step, grid.count) for grid in target.grids]
    errors = {"l1": reference.absolute, "mse": reference.square, "huber": reference.huber(delta=1.0)}
    samples = {
        "dex": reference.dex,
        "dldl_v2": reference.dldl(sigma=2.0, expectation_weight=1.0),
        "l2cs_net": reference.l2cs,
        "lde": reference.dldl(sigma=2.0, expectation_weight=0.0),
    }

    def loss(outputs: reference.Rows, labels: reference.Rows, weight: list[float]) -> float:
        if name in errors:
            return reference.point_loss(outputs, labels, errors[name], weight)
        if name in samples:
            return reference.expectation_loss(outputs, labels, centres, samples[name], weight)
        return reference.ordinal_loss(outputs, labels, centres, weight, conditional=name == "corn")

    head = make(name, target).double()
    outputs = 2 * head(normal(5, FEATURES).double())
    reference.assert_loss_is(head, loss, outputs, labels_of(target, 5).double(), normal(5, seed=2).double().abs())


@ALL
@TARGETS
def test_shapes(name: str, target: TargetSpec) -> None:
    head = make(name, target)
    for rows in (1, 7):
        outputs = head(normal(rows, FEATURES))
        assert outputs.shape == (rows, head.linear.out_features)
        assert head.decode(outputs).shape == (rows, len(target))
        assert head.loss(outputs, labels_of(target, rows)).shape == ()
    widths = [len(target)] if name in POINT else [grid.count - (name in ("or", "corn")) for grid in target.grids]
    assert head.linear.out_features == sum(widths)


@pytest.mark.parametrize("name", POINT)
@TARGETS
def test_point_heads_predict_their_outputs_themselves(name: str, target: TargetSpec) -> None:
    outputs = 1e4 * normal(6, len(target))
    torch.testing.assert_close(make(name, target).decode(outputs), outputs, rtol=0, atol=0)


@pytest.mark.parametrize("name", GRIDDED)
@TARGETS
def test_predictions_stay_within_the_grid_at_extreme_logits(name: str, target: TargetSpec) -> None:
    head = make(name, target)
    width = head.linear.out_features
    signs = normal(50, width).sign()
    extreme = torch.cat([torch.full((1, width), 1e4), torch.full((1, width), -1e4), 1e4 * signs, signs * 3e38])
    prediction = head.decode(extreme)
    for column, grid in zip(prediction.unbind(dim=1), target.grids, strict=True):
        centres = grid.centres()
        assert ((column >= centres[0]) & (column <= centres[-1])).all()
        assert (centres[0].item(), centres[-1].item()) == pytest.approx((grid.low, grid.high))


@ALL
@TARGETS
def test_extreme_features_give_finite_losses_and_gradients(name: str, target: TargetSpec) -> None:
    head = make(name, target)
    for scale in (0.0, 1e-30, 1e6):
        head.zero_grad()
        features = (scale * normal(8, FEATURES)).requires_grad_()
        loss = head.loss(head(features), labels_of(target, 8))
        loss.backward()
        assert loss.isfinite()
        for tensor in (features, *head.parameters()):
            assert tensor.grad is not None
            assert tensor.grad.isfinite().all()


@ALL
@TARGETS
def test_weights_of_one_are_no_weights(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), labels_of(target, 6)
    outputs = head(normal(6, FEATURES))
    assert_identical(loss_and_gradient(head, outputs, labels, torch.ones(6)), loss_and_gradient(head, outputs, labels))


@ALL
@TARGETS
def test_a_weight_scales_one_samples_gradient_and_no_other(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), labels_of(target, 5)
    outputs = head(normal(5, FEATURES))
    weight = torch.tensor([1.0, 0.0, 2.5, 1.0, 0.25])
    _, plain = loss_and_gradient(head, outputs, labels)
    _, weighted = loss_and_gradient(head, outputs, labels, weight)
    torch.testing.assert_close(weighted, weight[:, None] * plain)
    assert (weighted[1] == 0).all()
    assert (plain[1] != 0).any()


@ALL
@TARGETS
def test_the_order_of_the_batch_does_not_matter(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), labels_of(target, 9)
    outputs, weight = head(normal(9, FEATURES)), normal(9, seed=3).abs()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(4))
    loss, gradient = loss_and_gradient(head, outputs, labels, weight)
    shuffled = loss_and_gradient(head, outputs[order], labels[order], weight[order])
    torch.testing.assert_close(shuffled, (loss, gradient[order]))
    torch.testing.assert_close(head.decode(outputs[order]), head.decode(outputs)[order])


@ALL
def test_two_dimensions_are_the_mean_of_each_alone(name: str) -> None:
    both = make(name, TWO)
    alone = [make(name, TargetSpec({column: dimension})) for column, dimension in TWO.dimensions.items()]
    with torch.no_grad():
        both.linear.weight.copy_(torch.cat([head.linear.weight for head in alone]))
        both.linear.bias.copy_(torch.cat([head.linear.bias for head in alone]))
    features, labels, weight = normal(8, FEATURES), labels_of(TWO, 8), normal(8, seed=3).abs()
    outputs = [head(features) for head in alone]
    if name in GRIDDED:
        assert outputs[0].shape[1] != outputs[1].shape[1]
    torch.testing.assert_close(both(features), torch.cat(outputs, dim=1))
    losses = [head.loss(outputs[d], labels[:, d : d + 1], weight) for d, head in enumerate(alone)]
    torch.testing.assert_close(both.loss(both(features), labels, weight), (losses[0] + losses[1]) / 2)
    predictions = [head.decode(outputs[d]) for d, head in enumerate(alone)]
    torch.testing.assert_close(both.decode(both(features)), torch.cat(predictions, dim=1))


@pytest.mark.parametrize("name", GRIDDED)
@TARGETS
def test_labels_outside_the_grid_count_as_its_ends(name: str, target: TargetSpec) -> None:
    head = make(name, target)
    outputs = head(normal(4, FEATURES))
    far = torch.tensor([-1e6, 1e6, -13.0, 13.0])[:, None].expand(4, len(target))
    ends = torch.tensor([[(grid.low, grid.high)[i % 2] for grid in target.grids] for i in range(4)])
    assert_identical(loss_and_gradient(head, outputs, far), loss_and_gradient(head, outputs, ends))


@ALL
@TARGETS
def test_one_sample_is_a_batch_that_repeats_it(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), labels_of(target, 1)
    outputs = head(normal(1, FEATURES))
    loss, gradient = loss_and_gradient(head, outputs, labels)
    repeated, gradients = loss_and_gradient(head, outputs.expand(3, -1), labels.expand(3, -1))
    torch.testing.assert_close(repeated, loss)
    torch.testing.assert_close(gradients, gradient.expand(3, -1) / 3)


@ALL
@TARGETS
def test_equal_labels_give_the_mean_of_the_samples_alone(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), labels_of(target, 1)
    outputs = head(normal(6, FEATURES))
    alone = torch.stack([head.loss(row[None], labels) for row in outputs])
    torch.testing.assert_close(head.loss(outputs, labels.expand(6, -1)), alone.mean())


@ALL
@TARGETS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_outputs_lose_only_their_own_digits(name: str, target: TargetSpec, dtype: torch.dtype) -> None:
    head, labels = make(name, target), labels_of(target, 30)
    outputs = 3 * head(normal(30, FEATURES))
    half = outputs.to(dtype)
    loss, gradient = loss_and_gradient(head, half, labels)
    assert loss.dtype == torch.float32
    assert gradient.isfinite().all()
    torch.testing.assert_close(loss, head.loss(half.float(), labels), rtol=0, atol=0)
    torch.testing.assert_close(loss, head.loss(outputs, labels), rtol=0.02, atol=0)


@ALL
@TARGETS
def test_autocast_changes_little_and_measures_in_float32(name: str, target: TargetSpec) -> None:
    head, features, labels = make(name, target), normal(30, FEATURES), labels_of(target, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = head(features)
        assert outputs.dtype == torch.bfloat16
        loss, gradient = loss_and_gradient(head, outputs, labels)
        prediction = head.decode(outputs)
    assert loss.dtype == torch.float32
    assert gradient.isfinite().all()
    torch.testing.assert_close(loss, head.loss(outputs.float(), labels))
    torch.testing.assert_close(loss, head.loss(head(features), labels), rtol=0.02, atol=0)
    torch.testing.assert_close(prediction.float(), head.decode(outputs.float()))


@ALL
@TARGETS
def test_labels_may_be_of_any_type(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), torch.tensor([[-1], [0], [1], [0]]).expand(4, len(target))
    outputs = head(normal(4, FEATURES))
    expected = loss_and_gradient(head, outputs, labels.float())
    for dtype in (torch.int64, torch.float16, torch.bfloat16, torch.float64):
        assert_identical(loss_and_gradient(head, outputs, labels.to(dtype)), expected)


@ALL
@TARGETS
def test_the_state_makes_another_head_the_same(name: str, target: TargetSpec, tmp_path: Any) -> None:
    head, other = make(name, target), make(name, target)
    with torch.no_grad():
        head.linear.weight.add_(1.0)
    torch.save(head.state_dict(), tmp_path / "head.pt")
    features, labels = normal(6, FEATURES), labels_of(target, 6)
    assert not torch.equal(other(features), head(features))
    other.load_state_dict(torch.load(tmp_path / "head.pt"))
    torch.testing.assert_close(other(features), head(features), rtol=0, atol=0)
    assert other.loss(other(features), labels) == head.loss(head(features), labels)


@ALL
@TARGETS
def test_the_same_call_gives_the_same_bits(name: str, target: TargetSpec) -> None:
    head, labels = make(name, target), labels_of(target, 64)
    outputs = head(normal(64, FEATURES))
    assert_identical(loss_and_gradient(head, outputs, labels), loss_and_gradient(head, outputs, labels))
    torch.testing.assert_close(head.decode(outputs), head.decode(outputs), rtol=0, atol=0)


REFUSED: dict[str, Callable[[Tensor], tuple[Tensor, ...]]] = {
    "target (B,)": lambda labels: (labels[:, 0],),
    "target (B, D + 1)": lambda labels: (torch.cat([labels, labels[:, :1]], dim=1),),
    "target (1, D)": lambda labels: (labels[:1],),
    "target (B + 1, D)": lambda labels: (torch.cat([labels, labels[:1]]),),
    "weight (B, 1)": lambda labels: (labels, torch.ones(len(labels), 1)),
    "weight (1,)": lambda labels: (labels, torch.ones(1)),
    "weight ()": lambda labels: (labels, torch.tensor(1.0)),
}


@ALL
@TARGETS
@pytest.mark.parametrize("case", REFUSED)
def test_shapes_that_would_broadcast_in_silence_are_refused(name: str, target: TargetSpec, case: str) -> None:
    head = make(name, target)
    with pytest.raises(ValueError, match=r"^(labels|weight) must be |^target .* must have "):
        head.loss(head(normal(4, FEATURES)), *REFUSED[case](labels_of(target, 4)))


@ALL
@TARGETS
def test_a_clean_function_of_the_features_is_learnt_to_within_a_bin(name: str, target: TargetSpec) -> None:
    features = torch.rand(96, 3, generator=torch.Generator().manual_seed(0))
    mixture = torch.tensor([[0.6, 0.1], [0.3, 0.2], [0.1, 0.7]])[:, : len(target)]
    low = torch.tensor([grid.low for grid in target.grids])
    high = torch.tensor([grid.high for grid in target.grids])
    labels = low + (high - low) * (features @ mixture)
    head = make(name, target, in_features=3)
    optimizer = torch.optim.Adam(head.parameters(), lr=0.3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.02, total_iters=300)
    for _ in range(300):
        optimizer.zero_grad()
        head.loss(head(features), labels).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        error = (head.decode(head(features)) - labels).abs().mean(dim=0)
    spread = (labels - labels.median(dim=0).values).abs().mean(dim=0)
    for d, grid in enumerate(target.grids):
        assert error[d] < grid.step
        if name != "lde":  # a Gaussian that the grid cuts off has its mean within: nothing corrects that at the ends
            assert error[d] < 0.4 * spread[d]


def nodes(loss: Tensor) -> int:
    """How many operations autograd has to undo."""
    assert loss.grad_fn is not None
    seen, waiting = {loss.grad_fn}, [loss.grad_fn]
    while waiting:
        for function, _ in waiting.pop().next_functions:
            if function is not None and function not in seen:
                seen.add(function)
                waiting.append(function)
    return len(seen)


@pytest.mark.parametrize("name", GRIDDED)
def test_more_bins_are_no_more_operations(name: str) -> None:
    counts = []
    for high in (2, 300):
        target = TargetSpec({"age": {"low": 0, "high": high}})
        head = make(name, target)
        counts.append(nodes(head.loss(head(normal(4, FEATURES)), labels_of(target, 4))))
    assert counts[0] == counts[1] < 40


def test_every_head_of_the_configuration_is_tested_here() -> None:
    apart = {"balanced_mse"}  # a sample's loss depends on the batch's labels: test_balanced_mse.py
    assert {path.stem for path in (config_directory() / "head").glob("*.yaml")} == set(HEADS) | apart
