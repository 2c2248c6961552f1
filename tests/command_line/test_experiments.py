"""Every experiment file composes, stays small, and runs one batch of each stage."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from omegaconf import DictConfig

from rnc_lightning.command_line.compose import config_directory
from rnc_lightning.reports import published
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.run import run

EXPERIMENTS = sorted(path.stem for path in (config_directory() / "experiment").glob("*.yaml"))
# What makes an experiment small; it changes nothing that the experiment file decides.
_IMAGES = ["input.size=32", "data.num_workers=0"]
UNSEEN = ["plots=false", "callbacks.diagnostics=null"]
SMALL = {
    "digits": ["data.size=16", "data.eval_angles=1"],
    "agedb": _IMAGES,
    "imdb_wiki": _IMAGES,
    "mpiifacegaze": _IMAGES,
    "skyfinder": _IMAGES,
    "tuab": [
        "data.window=2",
        "encoder.width=8",
        "data.on_bad=skip",
        "data.num_workers=0",
    ],  # one made header lacks an age
}
CHEAPEST_FIRST = ("digits", "tuab", "agedb", "imdb_wiki", "mpiifacegaze", "skyfinder")


def _dataset(experiment: str) -> str:
    return next(name for name in SMALL if experiment.startswith(f"{name}_"))


def _quick(experiment: str) -> bool:
    """RnC is tried on every data set every time, each other method on the cheapest that has it."""
    dataset = _dataset(experiment)
    method = experiment.removeprefix(f"{dataset}_")
    return method == "rnc" or dataset == next(name for name in CHEAPEST_FIRST if f"{name}_{method}" in EXPERIMENTS)


def _as_marked(experiment: str) -> Any:
    return experiment if _quick(experiment) else pytest.param(experiment, marks=pytest.mark.slow)


def test_there_are_experiments() -> None:
    assert {f"{dataset}_{method}" for dataset in SMALL for method in ("rnc", "l1")} <= set(EXPERIMENTS)


def test_every_pair_of_the_papers_second_table_is_one() -> None:
    table = Path(published.__file__).parent / "published/competing_methods.csv"
    with table.open(encoding="utf-8") as file:
        pairs = {f"{row['dataset']}_{row['method'].removesuffix('_l1')}" for row in csv.DictReader(file)}
    assert len(pairs) > 20
    assert pairs <= set(EXPERIMENTS)


@pytest.mark.parametrize("experiment", [_as_marked(name) for name in EXPERIMENTS])
def test_one_batch_of_each_stage(
    experiment: str,
    compose_config: Callable[..., DictConfig],
    synthetic_files: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    dataset = _dataset(experiment)
    words = [f"+experiment={experiment}", "+debug=one_batch", *SMALL[dataset]]
    if dataset != "digits":
        words.append(f"paths.data_dir={synthetic_files(dataset)}")
    run(compose_config(*words, "data.batch_size=4", "paths.run_dir=run", "print_config=false", *UNSEEN), words)
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["status"] == "finished"
    assert result["experiment"] == experiment
    assert all(stage["epochs"] == 1 for stage in result["stages"].values())


def test_one_batch_does_not_encode_a_whole_split(compose_config: Callable[..., DictConfig]) -> None:
    assert Parts(compose_config("+experiment=agedb_rnc")).plan("regress").features_once
    assert not Parts(compose_config("+experiment=agedb_rnc", "+debug=one_batch")).plan("regress").features_once


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_an_experiment_is_a_few_lines_of_choices(experiment: str) -> None:
    text = (config_directory() / "experiment" / f"{experiment}.yaml").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert len(lines) <= 20
    assert "python -m rnc_lightning.train" in text  # says how it is run
    assert yaml.safe_load(text)["defaults"]


def test_agedb_has_the_official_recipe(compose_config: Callable[..., DictConfig]) -> None:
    """paper.md, section 1.6, read off what is really built."""
    expected = {
        ("agedb_rnc", "pretrain"): (400, 256, 2, True, "last", 0.5, 1e-4, 0.1),
        ("agedb_rnc", "regress"): (100, 64, None, False, "best", 0.05, 0.0, 0.2),
        ("agedb_l1", "regress"): (400, 256, None, False, "best", 0.2, 1e-4, 0.1),
    }
    for (experiment, stage), numbers in expected.items():
        parts = Parts(compose_config(f"+experiment={experiment}"))
        plan = parts.plan(stage)
        module = parts.stage(stage, parts.target(torch.tensor([[20.0], [40.0]])))
        configured = module.configure_optimizers()
        group = configured["optimizer"].param_groups[0]
        schedule = configured["lr_scheduler"]["scheduler"]
        lr = group["initial_lr"]
        final = schedule.lr_lambdas[0](plan.epochs - 1)
        found = (plan.epochs, plan.batch_size, plan.views, plan.drop_last, plan.checkpoint, lr, group["weight_decay"])
        assert found == numbers[:-1]
        assert final == pytest.approx(numbers[-1] ** 3)
        assert group["momentum"] == 0.9
        assert not group["nesterov"]
        assert module.encoder.num_features == 512
        frozen = not any(p.requires_grad for p in module.encoder.parameters())
        assert frozen is ((experiment, stage) == ("agedb_rnc", "regress"))
