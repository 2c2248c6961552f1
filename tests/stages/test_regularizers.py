"""Terms beside the head's loss, over one view or several."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from rnc_lightning import RnCLoss, rnc_loss
from rnc_lightning.heads import PointHead
from rnc_lightning.stages import CosinePerEpoch, Regress
from rnc_lightning.targets import TargetSpec


class _Flat(nn.Module):
    num_features = 4

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(9, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1))


def _stage(**changes: Any) -> Regress:
    torch.manual_seed(0)
    stage = Regress(
        head=PointHead,
        encoder=_Flat(),
        target=TargetSpec({"angle": {}}),
        optimizer=partial(torch.optim.SGD, lr=0.01),
        schedule=partial(CosinePerEpoch, decay_rate=0.1),
        epochs=1,
        **changes,
    )
    stage.log = lambda *_, **__: None  # type: ignore[method-assign]
    return stage


def _batch(views: int | None) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (6, 1, 3, 3) if views is None else (6, views, 1, 3, 3)
    return {"x": torch.randn(shape, generator=generator), "y": torch.randn(6, 1, generator=generator) * 10}


@pytest.mark.parametrize("views", [None, 1, 2, 3])
@pytest.mark.parametrize("weight", [0.0, 0.5, 2.0])
def test_the_loss_is_the_heads_over_all_views_plus_weight_times_the_term(views: int | None, weight: float) -> None:
    stage = _stage(views=views, regularizers={"objective": {"term": RnCLoss(), "weight": weight}})
    batch = _batch(views)
    loss = stage.training_step(batch, 0)
    loss.backward()

    copies = 1 if views is None else views
    x = batch["x"].reshape(6, copies, 9)
    features = torch.stack([stage.encoder(x[:, v]) for v in range(copies)], dim=1)
    head = torch.stack([(stage.head(features[:, v]) - batch["y"]).abs().mean() for v in range(copies)]).mean()
    expected = head + weight * rnc_loss(features, batch["y"])
    torch.testing.assert_close(loss, expected)
    gradient = torch.autograd.grad(expected, stage.encoder.linear.weight)[0]
    torch.testing.assert_close(stage.encoder.linear.weight.grad, gradient)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_term_that_needs_them_gets_predictions_and_sample_weights(weighted: bool) -> None:
    class Seen(nn.Module):
        needs_predictions = needs_weights = True

        def forward(self, *inputs: Tensor) -> Tensor:
            self.inputs = inputs
            return inputs[0].sum() * 0

    class Rare(nn.Module):
        def forward(self, y: Tensor) -> Tensor:
            return y[:, 0].abs() + 1

    stage = _stage(
        views=2,
        regularizers={"seen": {"term": Seen(), "weight": 1.0}},
        weighting=(lambda target: Rare()) if weighted else None,
    )
    batch = _batch(2)
    stage.training_step(batch, 0)
    features, y, predictions, *weights = stage.regularizers["seen"].inputs
    assert (features.shape, y.shape, predictions.shape) == ((6, 2, 4), (6, 1), (6, 2, 1))
    assert len(weights) == weighted
    if weighted:
        torch.testing.assert_close(weights[0], batch["y"][:, 0].abs() + 1)


def test_a_term_with_parameters_is_trained() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, features: Tensor, y: Tensor) -> Tensor:
            return self.scale * features.square().mean()

    stage = _stage(regularizers={"scaled": {"term": Scaled(), "weight": 1.0}})
    optimised = {id(p) for g in stage.configure_optimizers()["optimizer"].param_groups for p in g["params"]}
    assert {id(p) for p in stage.regularizers.parameters()} <= optimised
    stage.training_step(_batch(None), 0).backward()
    assert stage.regularizers["scaled"].scale.grad is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"regularizers": {"objective": {"term": None, "weight": 1.0}}}, r"regularizers\.objective\.term"),
        ({"regularizers": {"objective": {"term": RnCLoss(), "weight": "much"}}}, r"regularizers\.objective\.weight"),
        ({"regularizers": {"objective": {"term": RnCLoss(), "weight": float("nan")}}}, "finite"),
        ({"regularizers": {"a": {"term": RnCLoss(), "weight": 1.0}}, "freeze_encoder": True}, "frozen"),
        ({"frozen_autocast": "float8"}, "frozen_autocast"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _stage(**changes)


def test_a_frozen_encoder_can_compute_in_bfloat16() -> None:
    x = _batch(None)["x"]
    full, half = _stage(freeze_encoder=True), _stage(freeze_encoder=True, frozen_autocast="bfloat16")
    assert half.features(x).dtype == torch.float32
    assert not torch.equal(full.features(x), half.features(x))
    torch.testing.assert_close(full.features(x), half.features(x), atol=0.02, rtol=0.02)
