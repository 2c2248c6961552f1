"""What a run measures on the test set: every dimension, missing labels, float64 labels, the constant predictor."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor

from rnc_lightning.runs.directory import TestFolder as Folder
from rnc_lightning.runs.testing import (
    compute_metrics,
    constant_predictor,
    seen_and_unseen,
    worse_than_constant,
    write_predictions,
)
from rnc_lightning.stages import Predictions
from rnc_lightning.targets import TargetSpec

TWO = TargetSpec({"height": {"unit": "cm"}, "weight": {"unit": "kg"}})
NAN = float("nan")


def predictions(target: Tensor, prediction: Tensor) -> Predictions:
    generator = torch.Generator().manual_seed(0)
    return Predictions(torch.arange(len(target)), target, prediction, torch.rand(len(target), 3, generator=generator))


def test_every_dimension_follows_its_metric_and_missing_labels_are_ignored() -> None:
    target = torch.tensor([[1.0, 10.0], [2.0, NAN], [3.0, 30.0], [NAN, 50.0]])
    found = compute_metrics(predictions(target, target.nan_to_num(0) + 1), TWO, torch.ones(4, dtype=torch.bool))
    assert list(found)[:6] == ["mae", "mae/height", "mae/weight", "rmse", "rmse/height", "rmse/weight"]
    assert {found[key] for key in ("mae", "mae/height", "mae/weight", "gmean", "gmean/weight")} == {1.0}
    assert found["spearman"] is None  # two samples have both labels


def test_a_dimension_without_labels_is_null() -> None:
    target = torch.tensor([[1.0, NAN], [2.0, NAN], [4.0, NAN]])
    found = compute_metrics(predictions(target, torch.ones(3, 2)), TWO, torch.ones(3, dtype=torch.bool))
    assert found["mae"] == found["mae/height"] == pytest.approx(4 / 3)
    assert [found[f"{key}/weight"] for key in ("mae", "rmse", "r2", "gmean")] == [None] * 4


def test_subsets_have_every_dimension() -> None:
    target = torch.tensor([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    subset = SimpleNamespace(unseen={"gap": 1}, is_unseen=lambda labels: labels[:, 0] > 2)
    datamodule: Any = SimpleNamespace(subset=subset)
    found = seen_and_unseen(predictions(target, target + 2), datamodule, TWO)
    assert (found["seen"]["count"], found["seen"]["mae/weight"], found["unseen"]["mae/height"]) == (2, 2.0, 2.0)


def test_the_constant_predictor_ignores_missing_labels() -> None:
    train = torch.tensor([[1.0, NAN], [2.0, 10.0], [9.0, 20.0], [NAN, 90.0]])
    found = constant_predictor(train, torch.tensor([[2.0, 21.0], [NAN, 19.0]]), TWO)
    assert (found["mae/height"], found["mae/weight"]) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("test", "worse"),
    [
        ({"mae": 350125.0, "rmse": 1e9, "r2": -10.0, "gmean": 1e9}, ["mae", "r2"]),
        ({"mae": 0.9, "mae/height": 2.0, "mae/weight": 0.5, "r2/weight": -0.1, "r2": 0.2}, ["mae/height", "r2/weight"]),
        ({"mae": 1.0, "r2": 0.0}, []),
        ({"mae": None, "r2": None, "angular": 5.0, "spearman": -1.0}, ["angular"]),
    ],
)
def test_what_is_worse_than_the_constant_predictor(test: dict[str, float | None], worse: list[str]) -> None:
    constant = {"mae": 1.0, "mae/height": 1.0, "mae/weight": 1.0, "r2": -0.01, "angular": 4.0}
    assert worse_than_constant(test, constant) == worse


def test_unix_seconds_lose_no_digit(tmp_path: Path) -> None:
    seconds = TargetSpec({"time": {"unit": "s"}})
    target = 1_700_000_000 + torch.tensor([[1.25], [2.5], [4.0]], dtype=torch.float64)
    split = SimpleNamespace(names=["a", "b", "c"], groups=None)
    datamodule: Any = SimpleNamespace(splits={"test": split})
    made = predictions(target, target + 1)
    write_predictions(made, datamodule, seconds, Folder(tmp_path))
    table = pd.read_csv(tmp_path / "predictions.csv", dtype=str)
    assert table["time_target"].tolist() == ["1700000001.25", "1700000002.5", "1700000004.0"]
    assert table["time_prediction"].tolist() == ["1700000002.25", "1700000003.5", "1700000005.0"]
    assert Folder(tmp_path).features()[1].tolist() == target.tolist()
    found = compute_metrics(made, seconds, torch.ones(3, dtype=torch.bool))
    assert (found["mae"], found["rmse"]) == (1.0, 1.0)
    assert found["r2"] == pytest.approx(1 - 3 / 3.791666666, rel=1e-6)
