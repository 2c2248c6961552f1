"""Test a fitted regressor, and write predictions, features and plots."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from lightning import Trainer
from torch import Tensor
from torchmetrics import MetricCollection

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.metrics import regression_metrics
from rnc_lightning.metrics.feature_ordinality import feature_ordinality
from rnc_lightning.runs.directory import StageDirectory, TestFolder
from rnc_lightning.stages import Predictions, Regress
from rnc_lightning.targets import TargetSpec

_ORDER = ("mae", "angular", "rmse", "r2", "gmean", "spearman", "kendall")  # in tables


def evaluate_regressor(
    module: Regress, datamodule: RegressionDataModule, trainer: Trainer, ordinality: bool = True
) -> tuple[dict[str, float | None], Predictions]:
    """Test a regressor.

    Args:
        module: The regressor.
        datamodule: The data set; its test set is used.
        trainer: Runs the test.
        ordinality: Whether to compute the ordinality of the features, which takes most of the time on small data.

    Returns:
        The test metrics, without the prefix `test/`, and the predictions that they were computed from.
    """
    metric = module.test_ordinality
    if not ordinality:
        setattr(module, "test_ordinality", MetricCollection([]))  # noqa: B010 - another type
    try:
        logged = trainer.test(module, datamodule=datamodule, verbose=False)[0]
    finally:
        module.test_ordinality = metric
    metrics = {name.removeprefix("test/"): value for name, value in logged.items()}
    return finite_or_none(in_order(metrics)), module.predictions()


def compute_metrics(
    predictions: Predictions, target: TargetSpec, chosen: Tensor, ordinality: bool = True
) -> dict[str, float | None]:
    """The test metrics over the samples chosen by a boolean mask (N,); empty if it chooses none."""
    if not chosen.any():
        return {}
    truth, prediction, features = (
        value[chosen] for value in (predictions.target, predictions.prediction, predictions.features)
    )
    metrics = regression_metrics(len(target), target.angular_unit, target.names)
    metrics.update(prediction, truth)
    order = feature_ordinality(features, target.ranking_labels(truth), target.distance) if ordinality else {}
    return finite_or_none(in_order({**metrics.compute(), **order}))


def seen_and_unseen(
    predictions: Predictions, datamodule: RegressionDataModule, target: TargetSpec
) -> dict[str, dict[str, float | None]]:
    """Test metrics for labels in and outside the ranges that training saw; empty if no range is held out."""
    if not datamodule.subset.unseen:
        return {}
    unseen = datamodule.subset.is_unseen(predictions.target)
    return {
        name: {"count": int(chosen.sum()), **compute_metrics(predictions, target, chosen)}
        for name, chosen in (("seen", ~unseen), ("unseen", unseen))
    }


def write_predictions(
    predictions: Predictions,
    datamodule: RegressionDataModule,
    target: TargetSpec,
    folder: TestFolder,
    features: bool = True,
) -> None:
    """Write `predictions.csv` (one row per test sample) and, if `features` is set, `features.npz`."""
    split = datamodule.splits["test"]
    names = split.names if split.groups is None else split.groups.names
    table = pd.DataFrame({"index": predictions.index.numpy(), "name": [names[i] for i in predictions.index.tolist()]})
    for d, name in enumerate(target.names):
        table[f"{name}_target"] = predictions.target[:, d].numpy()
        table[f"{name}_prediction"] = predictions.prediction[:, d].numpy()
    folder.write_predictions(table)
    if features:
        folder.write_features(predictions.features.numpy(), predictions.target.numpy())


def write_plots(
    predictions: Predictions,
    target: TargetSpec,
    stages: Mapping[str, StageDirectory],
    directory: Path,
    test: Mapping[str, float | None],
    note: str = "",
) -> None:
    """Draw projections, predictions and, for each stage, its curves and any diagnostics.

    Args:
        predictions: Predictions for the test set.
        target: Names and units for the axes.
        stages: Directory of each stage.
        directory: Folder for the plots.
        test: Test metrics, for the titles.
        note: Further text in the titles, for example that the data are synthetic.
    """
    from rnc_lightning.plots.curves import save_curves
    from rnc_lightning.plots.projection import save_projections
    from rnc_lightning.plots.scatter import save_prediction_scatter

    truth = predictions.target.numpy()
    labelled = ~np.isnan(truth).any(axis=1)
    features = predictions.features.numpy()[labelled]
    save_projections(features, truth[labelled], directory, target.names, target.units, note=note)
    scatter = directory / "predictions.png"
    mae = [test.get(f"mae/{name}") for name in target.names] if len(target) > 1 else [test.get("mae")]
    save_prediction_scatter(predictions.prediction.numpy(), truth, scatter, target.names, target.units, mae, note)
    for name, stage in stages.items():
        title = f"{name}, {note}" if note else name
        history = pd.read_csv(stage.history).drop(columns=["step", "seconds"])
        save_curves(history, directory / f"curves_{name}.png", title)
        if stage.diagnostics.is_file():
            table = pd.read_csv(stage.diagnostics).drop(columns=["step", "seconds"])
            table = table.rename(columns=lambda column: column.removeprefix("diagnostics/"))
            if "train/excess" in history:  # the loss minus its floor
                table = history[["epoch", "train/excess"]].merge(table, on="epoch", how="outer")
            save_curves(table, directory / f"diagnostics_{name}.png", f"diagnostics of {title}")


def constant_predictor(train: Tensor, test: Tensor, target: TargetSpec) -> dict[str, float | None]:
    """Test metrics of always predicting the median training label.

    Args:
        train: (N, D) training labels; NaN for a missing one.
        test: (M, D) test labels.
        target: Description of the columns.
    """
    metrics = regression_metrics(len(target), target.angular_unit, target.names)
    metrics.update(train.nanmedian(dim=0).values.expand_as(test).contiguous(), test)
    return finite_or_none(metrics.compute())


def worse_than_constant(test: Mapping[str, float | None], constant: Mapping[str, float | None]) -> list[str]:
    """Names of the metrics in which a run is worse than a constant.

    The mean absolute error and the angular error are compared with those of the constant predictor, the best constant
    for the absolute error. R2 is compared with 0, the value of the mean test label.

    >>> worse_than_constant({"mae": 350125.0, "r2": -10.2, "gmean": 3e5}, {"mae": 95534.0, "r2": -0.01, "gmean": 8e4})
    ['mae', 'r2']

    Args:
        test: The test metrics of the run.
        constant: Those of `constant_predictor`.
    """
    worse = []
    for name, value in test.items():
        kind = name.partition("/")[0]
        bound = 0.0 if kind == "r2" else constant.get(name)
        if kind not in ("mae", "angular", "r2") or value is None or bound is None:
            continue
        if (value < bound) if kind == "r2" else (value > bound):
            worse.append(name)
    return worse


def in_order(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics in the order of tables, each followed by its dimensions; others last.

    >>> list(in_order({"r2": 0.9, "mae/yaw": 1.0, "mae/pitch": 2.0, "mae": 1.5, "own": 0.0}))
    ['mae', 'mae/yaw', 'mae/pitch', 'r2', 'own']
    """
    kinds = {name: name.partition("/")[0] for name in metrics}
    ranks = {kind: rank for rank, kind in enumerate(_ORDER)}
    order = sorted(metrics, key=lambda name: (ranks.get(kinds[name], len(ranks)), "/" in name))
    return {name: metrics[name] for name in order}


def finite_or_none(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    """Metrics as plain numbers; undefined values become None, since JSON has no NaN."""
    values = {name: float(value) for name, value in metrics.items()}
    return {name: value if np.isfinite(value) else None for name, value in values.items()}
