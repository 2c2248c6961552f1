"""Test a finished run again, under corruptions, on other data or on ranges of the target."""

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
    from lightning import Trainer

    from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
    from rnc_lightning.finished_runs.evaluation_conditions import Condition
    from rnc_lightning.finished_runs.evaluation_store import EvaluationStore
    from rnc_lightning.stages import Regress

log = logging.getLogger(__name__)


def evaluate_run(
    run: Path | str,
    *,
    corruptions: Sequence[str] | str = (),
    severities: Sequence[int] | str = "all",
    corruption_side: int | None = None,
    part: str = "test",
    targets: Mapping[str, Any] | None = None,
    data_words: Sequence[str] = (),
    ordinality: bool = True,
    features: bool = False,
    progress: bool = False,
) -> "pd.DataFrame":
    """Test a finished run under some conditions; what was tested before is read.

    Args:
        run: Its directory.
        corruptions: Names from `data.corruptions.NAMES`, or `all`; none: clean images alone.
        severities: Of each corruption, 1 to 5, or `all`.
        corruption_side: Shorter side to which smaller images are scaled up for the corruption; see `CorruptedInputs`.
        part: `train`, `val` or `test`.
        targets: By target name its `low`, `high` or both.
        data_words: Another data set in training's words, `data=NAME` first, or where its own now lie (`data.root=...`).
        ordinality: Whether to measure the order of the features, which takes longer than all the rest on small data.
        features: Whether to keep the features too.
        progress: Whether to show a bar.

    Returns:
        A row a condition, the clean one first: corruption, severity, samples (`all`; with `targets` also `inside` and
        `outside`), count, and the metrics.

    Raises:
        UserError: For whatever the user can fix.
    """
    request = Request(
        Path(run),
        corruptions,
        severities,
        corruption_side,
        part,
        dict(targets or {}),
        tuple(data_words),
        ordinality,
        features,
    )
    return _evaluated(request, progress)[0]


@dataclass(frozen=True)
class Request:
    """The arguments of `evaluate_run`, by their names there."""

    path: Path
    corruptions: Sequence[str] | str
    severities: Sequence[int] | str
    side: int | None
    part: str
    targets: Mapping[str, Any]
    data_words: tuple[str, ...]
    ordinality: bool
    features: bool


def _evaluated(request: Request, progress: bool) -> "tuple[pd.DataFrame, EvaluationStore]":
    from rnc_lightning.datasets.images.corruptions import NAMES, SEVERITIES
    from rnc_lightning.datasets.splits import PARTS
    from rnc_lightning.finished_runs.evaluation_conditions import conditions
    from rnc_lightning.finished_runs.evaluation_store import EvaluationStore

    severities = several(request.severities, SEVERITIES, "severity")
    wanted = conditions(several(request.corruptions, NAMES, "corruption"), severities)
    if request.part not in PARTS:
        raise UserError(f"part={request.part}: must be one of {', '.join(PARTS)}")
    run = open_run(request.path)
    another = any(word.startswith("data=") for word in request.data_words)
    datamodule, dataset = run.other_data(request.data_words) if another else (None, str(run.config["dataset"]))
    ranges = read_ranges(request.targets, run.target)
    shaping = [word for word in request.data_words if _shapes(word)]
    key = {
        "checkpoint": run.checkpoint_sha256,
        "data_fingerprint": run.result["data_fingerprint"] if datamodule is None else datamodule.fingerprint,
        "data_words": shaping,
        "part": request.part,
        "targets": {name: [one.low, one.high] for name, one in ranges.items()},
        "corruption_side": request.side,
    }
    place = _place(dataset, request.part, request.side, ranges, shaping)
    store = EvaluationStore(run.path / "evaluations" / place, key)
    missing = [c for c in wanted if store.read(c, request.features, request.ordinality) is None]
    if missing:
        datamodule = run.data_at(request.data_words) if datamodule is None else datamodule
        _test(run, datamodule, dataset, missing, store, ranges, request, progress)
    else:
        log.info("%s: all of it was evaluated before", store.path)
    store.write_table()
    return store.table(wanted), store


def _test(
    run: FinishedRun,
    datamodule: "RegressionDataModule",
    dataset: str,
    missing: "Sequence[Condition]",
    store: "EvaluationStore",
    ranges: Mapping[str, TargetRange],
    request: Request,
    progress: bool,
) -> None:
    from rich.progress import track

    from rnc_lightning.runs.fitting.trainers import quiet_lightning

    quiet_lightning()
    regressor, tester = run.regressor(), run.tester()
    about = {**run.identity(), **_about(datamodule, dataset), "units": run.target.units}
    for condition in track(missing, "conditions", disable=not progress):
        found = _tested(run, regressor, tester, datamodule, condition, store, ranges, request)
        store.write(condition, {**about, **found})


def _tested(
    run: FinishedRun,
    regressor: "Regress",
    tester: "Trainer",
    datamodule: "RegressionDataModule",
    condition: "Condition",
    store: "EvaluationStore",
    ranges: Mapping[str, TargetRange],
    request: Request,
) -> dict[str, Any]:

    from rnc_lightning.finished_runs.evaluation_conditions import under
    from rnc_lightning.runs.testing import compute_metrics, evaluate_regressor, write_predictions

    data = under(condition, datamodule, store.key["part"], store.key["corruption_side"])
    metrics, predictions = evaluate_regressor(regressor, data, tester, request.ordinality)
    write_predictions(predictions, data, run.target, store.folder(condition), request.features)
    samples: dict[str, Any] = {"all": {"count": len(predictions.target), **metrics}}
    if ranges:
        within = in_all_ranges(predictions.target, ranges.values())
        for name, chosen in (("inside", within), ("outside", ~within)):
            count = int(torch.count_nonzero(chosen))
            samples[name] = {"count": count, **compute_metrics(predictions, run.target, chosen, request.ordinality)}
    return {"test": metrics, "samples": samples}


def _about(datamodule: "RegressionDataModule", dataset: str) -> dict[str, Any]:
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


def _shapes(word: str) -> bool:
    key = word.partition("=")[0].lstrip("+~")
    return key not in VOLATILE and key not in ("data.eval_batch_size", "paths.data_dir")


def _place(dataset: str, part: str, side: int | None, ranges: Mapping[str, TargetRange], words: Sequence[str]) -> str:
    """A folder's name for data and settings."""
    named = [dataset, part, *([f"side={side}"] if side else [])]
    named += [f"{name}={one.ends[0]:g}..{one.ends[1]:g}" for name, one in ranges.items()]
    more = sorted(word for word in words if not word.startswith("data="))
    if more:
        named.append(hashlib.sha256("\n".join(more).encode()).hexdigest()[:8])
    return re.sub(r"[^\w.=,+\-]", "_", ",".join(named))


def read_ranges(given: Mapping[str, Any] | None, target: TargetSpec) -> dict[str, TargetRange]:
    """Ranges by target name, from what a person wrote: `{age: {low: 20, high: 40}}`; a missing end is open.

    Raises:
        UserError: For a target that there is not, or what is no range.
    """
    ranges = {}
    for name, ends in (given or {}).items():
        if name not in target.names:
            raise UserError(f"targets.{name}: no such target; {suggest(name, target.names)}")
        if not isinstance(ends, Mapping) or not ends or set(ends) - {"low", "high"}:
            raise UserError(f"targets.{name}: takes low, high or both, such as {{low: 20, high: 40}}; got {ends}")
        try:
            ranges[name] = TargetRange(**ends, dimension=target.names.index(name))
        except ValueError as error:
            raise UserError(f"targets.{name}: {error}") from None
    return ranges
