"""Every method composes and trains on digits, alone and combined; where one is not defined, one line says so."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from omegaconf import DictConfig

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.run import run
from rnc_lightning.system.errors import UserError

METHODS = sorted(path.stem for path in (config_directory() / "method").glob("*.yaml"))
ONE_STAGE = {
    "l1": ("l1", []),
    "ranksim": ("l1", ["ranksim"]),
    "ordinal_entropy": ("l1", ["ordinal_entropy"]),
    "conr": ("l1", ["conr"]),
    "lds": ("l1", ["lds"]),
    "fds": ("l1", ["fds"]),
    "lds_fds": ("l1", ["lds", "fds"]),
    "l2cs_net": ("l2cs_net", []),
    "lde": ("lde", []),
    "balanced_mse": ("balanced_mse", []),
}
COMBINED = {
    "rnc with all": (
        ["method=rnc", "scheme=fine_tune", "head=dex", "regularizer=[ranksim,ordinal_entropy]", "weighting=lds"],
        ["lds", "ranksim", "ordinal_entropy"],
    ),
    "joint": (["method=rnc", "scheme=regularization", "regularizer=[conr]", "calibration=fds"], ["fds", "conr"]),
    "rnc as a term": (["method=simclr", "scheme=fine_tune", "regularizer=rnc", "head=corn"], ["rnc"]),
    "supcon as a term": (["method=supcon", "scheme=regularization"], []),
    "weights on a frozen encoder": (["method=rnc", "head=mse", "weighting=lds", "calibration=fds"], ["lds", "fds"]),
}
# Where the rates of the whole data set are too high for a third of it in batches half as large.
GENTLER = {
    "dino": ["recipe.pretrain.lr=0.2"],
    "supcon": ["recipe.pretrain.lr=0.1"],
    "balanced_mse": ["recipe.end_to_end.lr=0.001", "head.sigma_lr=null"],  # a scale that grows raises the loss
}
GAZE = ["data=mpiifacegaze", "encoder=small_resnet"]


@pytest.fixture
def train(compose_config: Callable[..., DictConfig], tiny_digits: list[str]) -> Callable[..., dict[str, Any]]:
    def train(*words: str) -> dict[str, Any]:
        given = ["data=digits", *tiny_digits, *words]
        run(compose_config(*given, "paths.run_dir=run", "paths.encoder_dir=null"), given)
        return json.loads(Path("run/result.json").read_text())

    return train


def test_the_papers_methods_are_here() -> None:
    assert {"rnc", "simclr", "dino", "supcon", *ONE_STAGE} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_runs(train: Callable[..., dict[str, Any]], method: str) -> None:
    result = train(f"method={method}", "+debug=one_batch")
    assert result["status"] == "finished"
    assert result["method"] == method
    if method in ONE_STAGE:
        assert (result["head"], result["with"]) == ONE_STAGE[method]
        assert (list(result["stages"]), result["scheme"]) == (["regress"], "end_to_end")
    else:
        assert (result["head"], result["with"], result["scheme"]) == ("l1", [], "linear_probe")
        assert list(result["stages"]) == ["pretrain", "regress"]
        handed_on = json.loads(Path("run/stages/pretrain/encoder.json").read_text())
        assert handed_on["stage"] == "pretrain"


@pytest.mark.parametrize("name", COMBINED)
def test_methods_combine(train: Callable[..., dict[str, Any]], name: str) -> None:
    words, added = COMBINED[name]
    result = train(*words, "+debug=one_batch")
    assert result["status"] == "finished"
    assert result["with"] == added


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([*GAZE, "method=lds_fds"], "weighting: LDS is defined for one target dimension"),
        ([*GAZE, "method=fds"], "calibration: FDS is defined for one target dimension"),
        ([*GAZE, "method=supremix", "scheme=regularization"], r"objective\.term: SupReMix is defined for one"),
        (
            ["data=digits", "method=rnc", "regularizer=ranksim"],
            r"ranksim\) have no effect on the features of a frozen .* scheme=fine_tune",
        ),
        (["data=digits", "method=ranksim", "regularizers.ranksim.term.interpolation=0"], "interpolation"),
    ],
)
def test_what_is_not_defined_is_refused(
    compose_config: Callable[..., DictConfig], words: list[str], message: str
) -> None:
    parts = Parts(compose_config(*words))
    target = parts.target(torch.zeros(3, 2 if "data=mpiifacegaze" in words else 1))
    with pytest.raises(UserError, match=message):
        parts.stage("regress", target)


@pytest.mark.parametrize("method", ["simclr", "supcon"])
def test_vector_targets_are_fine_where_a_method_is_defined(
    compose_config: Callable[..., DictConfig], method: str
) -> None:
    parts = Parts(compose_config(*GAZE, f"method={method}"))
    stage = parts.stage("pretrain", parts.target(torch.zeros(3, 2)))
    features, gaze = torch.randn(4, 2, stage.num_features), torch.rand(4, 2) * 20
    assert stage.objective(features, gaze).isfinite()


def test_the_encoder_of_an_objective_with_classes_depends_on_the_bins(
    compose_config: Callable[..., DictConfig],
) -> None:
    from rnc_lightning.command_line.compose import resolve_config
    from rnc_lightning.runs.shared_encoder import encoder_shape, shape_hash

    def name(*words: str) -> str:
        return shape_hash(encoder_shape(resolve_config(compose_config("data=digits", *words)), "pretrain", "data"))

    wider = "target.dimensions.angle.step=5"
    assert name("method=supcon") != name("method=supcon", wider)
    assert name("method=rnc") == name("method=rnc", wider)
    assert name("method=simclr") != name("method=supcon")


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_a_method_learns(train: Callable[..., dict[str, Any]], method: str) -> None:
    """Its loss falls, and the validation error improves and beats the constant predictor by far."""
    epochs = [f"recipe.{stage}.epochs=15" for stage in ("pretrain", "linear_probe", "end_to_end")]
    words = ["data.digits=[1,3,7]", "encoder.width=8", *epochs, *GENTLER.get(method, [])]
    result = train(f"method={method}", *words)
    for stage in result["stages"]:
        history = pd.read_csv(f"run/stages/{stage}/metrics.csv")
        first = 1 if method == "dino" and stage == "pretrain" else 0  # in DINO's first epoch the prototypes stand still
        assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[first]
    assert history["val/mae"].min() < history["val/mae"].iloc[0]
    assert result["test"]["mae"] < 0.6 * result["constant"]["mae"]
