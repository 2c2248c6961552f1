"""What is trained does not depend on the unit or the zero of standardised labels."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor, nn

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.stages import CosinePerEpoch, Pretrain, Regress
from rnc_lightning.targets import TargetSpec

HEADS = [path.stem for path in sorted((config_directory() / "head").glob("*.yaml"))]
OBJECTIVES = ["rnc", "simclr", "supcon", "supremix"]  # DINO gets no labels
REGULARIZERS = [path.stem for path in sorted((config_directory() / "regularizer").glob("*.yaml"))]
UNITS: dict[str, Callable[[Tensor], Tensor]] = {
    "times 1000": lambda y: 1000 * y,
    "plus 10^6": lambda y: y + 10**6,
    "in ten thousandths": lambda y: y / 10**4,
    "unix seconds": lambda y: 1.7e9 + 1000 * y,
}
ROWS, INPUTS, STEPS = 24, 3, 8


class _Encoder(nn.Module):
    num_features = 6

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(INPUTS, 8), nn.Tanh(), nn.Linear(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def _part(group: str, name: str, key: str) -> Any:
    """A part from its file in conf, with the settings for standardised labels."""
    labels = OmegaConf.load(config_directory() / "data" / "labels" / "standardized.yaml")
    part = OmegaConf.load(config_directory() / group / f"{name}.yaml")[key]
    config = OmegaConf.create({"target": {"distance": "l1"}, "recipe": labels.recipe, "part": part})
    return instantiate(OmegaConf.to_container(config, resolve=True)["part"])


def _labels(dimensions: int) -> Tensor:
    return 3 * torch.randn(ROWS, dimensions, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def _spec(labels: Tensor, **settings: Any) -> TargetSpec:
    names = [f"y{i}" for i in range(labels.shape[1])]
    return TargetSpec({name: {"step": None} for name in names}, standardize=True, **settings).fitted(labels)


def _steps(make: Callable[..., Any], labels: Tensor, spec: TargetSpec, **parts: Any) -> Any:
    """Some steps of SGD on one batch."""
    torch.manual_seed(0)
    stage = make(
        encoder=_Encoder(),
        target=spec,
        optimizer=partial(torch.optim.SGD, lr=0.01),
        schedule=partial(CosinePerEpoch, decay_rate=0.1),
        epochs=1,
        **parts,
    )
    stage.log = lambda *_, **__: None
    if isinstance(stage, Regress):
        stage.fit_labels(labels)
    batch = {"x": torch.randn(ROWS, 2, INPUTS, generator=torch.Generator().manual_seed(1)), "y": labels}
    optimizer = stage.configure_optimizers()["optimizer"]
    for step in range(STEPS):
        torch.manual_seed(step)  # for what is drawn in a step
        optimizer.zero_grad()
        stage.training_step(batch, 0).backward()
        optimizer.step()
    return stage


def _predict(labels: Tensor, **parts: Any) -> Tensor:
    spec = _spec(labels)
    stage = _steps(Regress, labels, spec, **{"views": 2, **parts}).eval()
    with torch.no_grad():
        return spec.to_model(stage(torch.randn(50, INPUTS, generator=torch.Generator().manual_seed(2))))


def _assert_same_in_all_units(dimensions: int = 1, **parts: Any) -> None:
    labels = _labels(dimensions)
    expected = _predict(labels, **parts)
    assert expected.std() > 0
    for unit, change in UNITS.items():
        torch.testing.assert_close(_predict(change(labels), **parts), expected, rtol=0, atol=2e-4, msg=unit)


@pytest.mark.parametrize("dimensions", [1, 2])
@pytest.mark.parametrize("name", HEADS)
def test_heads(name: str, dimensions: int) -> None:
    _assert_same_in_all_units(dimensions, head=_part("head", name, "head"))


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers(name: str) -> None:
    head = _part("head", "l1", "head")
    _assert_same_in_all_units(head=head, regularizers=_part("regularizer", name, "regularizers"))


def test_label_distribution_smoothing() -> None:
    head = _part("head", "l1", "head")
    _assert_same_in_all_units(head=head, weighting=_part("weighting", "lds", "weighting"))


def test_feature_distribution_smoothing() -> None:
    head = _part("head", "l1", "head")
    calibration = partial(_part("calibration", "fds", "calibration"), second_pass=False)
    _assert_same_in_all_units(head=head, calibration=calibration)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_objectives(name: str) -> None:
    labels = _labels(1)
    objective = _part("objective", name, "objective")
    weights = []
    for change in [lambda y: y, *UNITS.values()]:
        changed = change(labels)
        stage = _steps(Pretrain, changed, _spec(changed), objective=objective)
        weights.append(torch.cat([p.detach().flatten() for p in stage.encoder.parameters()]))
    for other in weights[1:]:
        torch.testing.assert_close(other, weights[0], rtol=0, atol=1e-5)


def test_no_dimension_drowns_another_in_the_label_distance() -> None:
    labels = _labels(2) * torch.tensor([1.0, 1e5])
    seen = _spec(labels).distance_labels(labels)
    torch.testing.assert_close(seen.std(dim=0, unbiased=False), torch.ones(2, dtype=torch.float64))


def test_a_weight_counts_in_distances_and_errors() -> None:
    labels = _labels(2)
    spec = TargetSpec({"a": {}, "b": {"weight": 3.0}}, standardize=True).fitted(labels)
    torch.testing.assert_close(
        spec.to_model(labels).std(dim=0, unbiased=False), torch.tensor([1.0, 3.0], dtype=torch.float64)
    )
    torch.testing.assert_close(spec.to_labels(spec.to_model(labels)), labels)


@pytest.mark.parametrize("name", HEADS)
def test_logarithms_fit_ratios(name: str) -> None:
    """Prices, and prices in thousandths."""
    prices = _labels(1).exp() * 1000
    expected, seen = (_predict_with(prices * factor, name, transform="log") / factor for factor in (1.0, 1000.0))
    torch.testing.assert_close(seen, expected, rtol=1e-3, atol=0)
    assert (expected > 0).all()


def _predict_with(labels: Tensor, name: str, **settings: Any) -> Tensor:
    stage = _steps(Regress, labels, _spec(labels, **settings), head=_part("head", name, "head"), views=2)
    with torch.no_grad():
        return stage.eval()(torch.randn(50, INPUTS, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("name", [name for name in HEADS if name != "balanced_mse"])
def test_a_row_with_one_of_two_labels_counts_as_that_dimension_alone(name: str) -> None:
    labels = _labels(2)
    spec = _spec(labels)
    model, partly = spec.in_model_units(), spec.to_model(labels)
    partly[3, 1] = torch.nan
    build = _part("head", name, "head")
    head, alone = build(in_features=6, target=model), build(in_features=6, target=_spec(labels[:, :1]).in_model_units())
    width = alone.linear.out_features  # outputs of the first dimension
    outputs = head(torch.randn(ROWS, 6, generator=torch.Generator().manual_seed(4))).detach().requires_grad_()
    head.loss(outputs, partly).backward()
    assert outputs.grad is not None
    assert (outputs.grad[3, width:] == 0).all()
    assert (outputs.grad[3, :width] != 0).any()
    assert outputs.grad.isfinite().all()
    torch.testing.assert_close(head.loss(outputs[3:4], partly[3:4]), alone.loss(outputs[3:4, :width], partly[3:4, :1]))


def test_objectives_and_regularizers_leave_out_partly_labelled_samples() -> None:
    labels = _labels(2)
    labels[3, 1] = torch.nan
    spec = _spec(labels)
    assert spec.partial
    objective = _part("objective", "rnc", "objective")
    stage = _steps(Pretrain, labels, spec, objective=objective)
    features, y = stage.rows_for_distances(torch.zeros(ROWS, 2, 6), labels)
    assert len(features) == len(y) == ROWS - 1
    _steps(
        Regress,
        labels,
        spec,
        head=_part("head", "l1", "head"),
        views=2,
        regularizers=_part("regularizer", "conr", "regularizers"),
    )
