"""Test a finished run again: under corruptions, on other data or on ranges of the target."""

import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from rnc_lightning.command_line.identity import VOLATILE
from rnc_lightning.command_line.options import several
from rnc_lightning.finished_runs.finished_run import FinishedRun, open_run
from rnc_lightning.system.errors import UserError, suggest
from rnc_lightning.targets import TargetSpec
from rnc_lightning.targets.ranges import TargetRange, in_all_ranges

if TYPE_CHECKING:
    import pandas as pd

    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.finished_runs.evaluation_conditions import Condition
    from rnc_lightning.finished_runs.evaluation_store import EvaluationStore
    from rnc_lightning.stages import Predictions

log = logging.getLogger(__name__)


def evaluate_run(
    run: Path | str,
    *,
    corruptions: Sequence[str] | str = (),
    severities: Sequence[int] | str = "all",
    corruption_side: int | None = None,
    part: str = "test",
    targets: Mapping[str, Any] | None = None,
    data_options: Sequence[str] = (),
    ordinality: bool = True,
    features: bool = False,
    trust: Sequence[str] = (),
    progress: bool = False,
) -> "pd.DataFrame":
    """Test a finished run under some conditions; conditions that were tested before are read from disk.

    Args:
        run: Directory of the run.
        corruptions: Names from `datasets.images.corruptions.NAMES`, or `all`; empty: clean images only.
        severities: Severities of each corruption, 1 to 5, or `all`.
        corruption_side: Shorter side in pixels to which smaller images are scaled up before they are corrupted; see
            `CorruptedInputs`.
        part: `train`, `val` or `test`.
        targets: For each target name, `low`, `high` or both.
        data_options: Options of training that name another data set, `data=NAME` first, or the new location of the
            run's own data (`data.root=...`).
        ordinality: Whether to measure the order of the features, which takes longer than the rest on small data.
        features: Whether to save the features too.
        trust: What the configuration of the run may name besides what every run may; see `open_run`.
        progress: Whether to show a progress bar.

    Returns:
        A row for each condition, the clean one first: corruption, severity, samples (`all`; with `targets` also
        `inside` and `outside`), count, and the metrics.

    Raises:
        UserError: For anything the user can fix.
    """
    ranges, options = dict(targets or {}), tuple(data_options)
    request = Request(
        Path(run), corruptions, severities, corruption_side, part, ranges, options, ordinality, features, tuple(trust)
    )
    return evaluate_request(request, progress)[0]


@dataclass(frozen=True)
class Request:
    """The arguments of `evaluate_run`."""

    path: Path
    corruptions: Sequence[str] | str
    severities: Sequence[int] | str
    side: int | None
    part: str
    targets: Mapping[str, Any]
    data_options: tuple[str, ...]
    ordinality: bool
    features: bool
    trust: tuple[str, ...] = ()


def evaluate_request(request: Request, progress: bool) -> "tuple[pd.DataFrame, EvaluationStore]":
    """Evaluate what is not on disk yet; returns the table of `evaluate_run` and the files."""
    from rnc_lightning.datasets.images.corruptions import NAMES, SEVERITIES
    from rnc_lightning.datasets.splits import PARTS
    from rnc_lightning.finished_runs.evaluation_conditions import list_conditions
    from rnc_lightning.finished_runs.evaluation_store import EvaluationStore

    severities = several(request.severities, SEVERITIES, "severity")
    conditions = list_conditions(several(request.corruptions, NAMES, "corruption"), severities)
    if request.part not in PARTS:
        raise UserError(f"part={request.part}: must be one of {', '.join(PARTS)}")
    run = open_run(request.path, request.trust)
    run.check_inside(run.path / "evaluations")
    other_data = any(option.startswith("data=") for option in request.data_options)
    if other_data:
        datamodule, dataset = run.other_data(request.data_options)
    else:  # read first: an evaluation of data that have changed since is not shown again
        datamodule, dataset = run.data_at(request.data_options), str(run.config["dataset"])
    ranges = _read_ranges(request.targets, run.target)
    options = [option for option in request.data_options if _changes_result(option)]
    key = {
        "checkpoint": run.checkpoint_sha256,
        "data_fingerprint": datamodule.fingerprint,
        "data_words": options,
        "part": request.part,
        "targets": {name: [target.low, target.high] for name, target in ranges.items()},
        "corruption_side": request.side,
    }
    folder = _folder_name(dataset, request.part, request.side, ranges, options)
    store = EvaluationStore(run.path / "evaluations" / folder, key)
    missing = [c for c in conditions if store.read(c, request.features, request.ordinality) is None]
    if missing:
        _evaluate_conditions(run, datamodule, dataset, missing, store, ranges, request, progress)
    else:
        log.info("%s: everything was evaluated before", store.path)
    store.write_table()
    return store.table(conditions), store


def _evaluate_conditions(
    run: FinishedRun,
    datamodule: "RegressionDataModule",
    dataset: str,
    conditions: "Sequence[Condition]",
    store: "EvaluationStore",
    ranges: Mapping[str, TargetRange],
    request: Request,
    progress: bool,
) -> None:
    from rich.progress import track

    from rnc_lightning.finished_runs.evaluation_conditions import apply_condition
    from rnc_lightning.finished_runs.predictor import check_finite
    from rnc_lightning.runs.fitting.trainers import quiet_lightning
    from rnc_lightning.runs.testing import compute_metrics, evaluate_regressor, write_predictions

    quiet_lightning()
    regressor, tester = run.regressor(), run.tester()
    about = {**run.identity(), **_describe_evaluation(datamodule, dataset)}
    about |= {"units": run.target.units, "names": run.target.names}
    for condition in track(conditions, "conditions", disable=not progress):
        data = apply_condition(condition, datamodule, store.key["part"], request.side)
        metrics, predictions = evaluate_regressor(regressor, data, tester, request.ordinality)
        check_finite(predictions.prediction, _sample_names(predictions, data), str(run.checkpoint))
        write_predictions(predictions, data, run.target, store.folder(condition), request.features)
        samples: dict[str, Any] = {"all": {"count": len(predictions.target), **metrics}}
        if ranges:
            within = in_all_ranges(predictions.target, ranges.values())
            for name, chosen in (("inside", within), ("outside", ~within)):
                count = int(torch.count_nonzero(chosen))
                samples[name] = {"count": count, **compute_metrics(predictions, run.target, chosen, request.ordinality)}
        store.write(condition, {**about, "test": metrics, "samples": samples})


def _describe_evaluation(datamodule: "RegressionDataModule", dataset: str) -> dict[str, Any]:
    from rnc_lightning.runs.execute import dataset_name
    from rnc_lightning.system.code_version import training_code_version
    from rnc_lightning.system.environment import git_revision, machine, versions

    return {
        "evaluated_on": dataset_name(dataset, datamodule),
        "synthetic_data": datamodule.synthetic,
        "synthetic_parts": list(datamodule.synthetic_parts),
        "skipped": datamodule.skipped,
        "versions": versions(),
        "machine": machine(),
        "code": training_code_version(),
        "git_revision": git_revision(),
    }


def _sample_names(predictions: "Predictions", datamodule: "RegressionDataModule") -> list[str]:
    split = datamodule.splits["test"]
    names = split.names if split.groups is None else split.groups.names
    return [names[i] for i in predictions.index.tolist()]


def _changes_result(option: str) -> bool:
    key = option.partition("=")[0].lstrip("+~")
    return key not in VOLATILE and key not in ("data.eval_batch_size", "paths.data_dir")


def _folder_name(
    dataset: str, part: str, side: int | None, ranges: Mapping[str, TargetRange], options: Sequence[str]
) -> str:
    parts = [dataset, part, *([f"side={side}"] if side else [])]
    parts += [f"{name}={target.ends[0]:.15g}..{target.ends[1]:.15g}" for name, target in ranges.items()]
    if others := sorted(option for option in options if not option.startswith("data=")):
        parts.append(hashlib.sha256("\n".join(others).encode()).hexdigest()[:8])
    return re.sub(r"[^\w.=,+\-]|^\.+", "_", ",".join(parts))


def _read_ranges(values: Mapping[str, Any], target: TargetSpec) -> dict[str, TargetRange]:
    """Ranges by target name from `{age: {low: 20, high: 40}}`; a range without one of the ends is open there.

    Raises:
        UserError: For an unknown target or an invalid range.
    """
    ranges = {}
    for name, ends in values.items():
        if name not in target.names:
            raise UserError(f"targets.{name}: unknown target; {suggest(name, target.names)}")
        if not isinstance(ends, Mapping) or not ends or set(ends) - {"low", "high"}:
            raise UserError(f"targets.{name}: takes low, high or both, such as {{low: 20, high: 40}}; got {ends}")
        try:
            ranges[name] = TargetRange(**ends, dimension=target.names.index(name))
        except ValueError as error:
            raise UserError(f"targets.{name}: {error}") from None
    return ranges
