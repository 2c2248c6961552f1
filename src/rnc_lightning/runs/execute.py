"""Execute a run after its configuration has been checked: build, fit the stages, test, write the results."""

import errno
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger
from rich.console import Console

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.encoders.handoff import load_encoder, read_card
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.runs.built import BuiltRun, build
from rnc_lightning.runs.comparison import check_data
from rnc_lightning.runs.devices import named_gpus
from rnc_lightning.runs.directory import RunDirectory, StageDirectory
from rnc_lightning.runs.fitting.fit import StageSummary, fit_stage, load_weights
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.runs.shared_encoder import SharedEncoders, encoder_shape
from rnc_lightning.runs.summary import print_summary
from rnc_lightning.runs.testing import (
    constant_predictor,
    evaluate_regressor,
    finite_or_none,
    seen_and_unseen,
    worse_than_constant,
    write_plots,
    write_predictions,
)
from rnc_lightning.stages import Regress, Stage
from rnc_lightning.system.code_version import training_code_version
from rnc_lightning.system.environment import git_revision, machine, versions
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import damaged_files
from rnc_lightning.system.synthetic_marker import synthetic_note
from rnc_lightning.tracking import loggers
from rnc_lightning.tracking.run_files import RunFiles

log = logging.getLogger(__name__)


def execute(request: RunRequest, parts: Parts, directory: RunDirectory, console: Console) -> dict[str, Any]:
    """Fit the stages that are not finished, test the last one, and write everything except the final `result.json`.

    With several processes all of them fit, and the first one writes and tests. All parts are built before the directory
    is created, so that a run that cannot start leaves no directory behind.

    Returns:
        The content of `result.json` without a status; in processes other than the first one the identity alone.
    """
    identity = request.identity
    built = build(request, parts)
    datamodule = built.datamodule
    identity = {**identity, "dataset": dataset_name(request.config["dataset"], datamodule)}
    shared = _shared_encoders(request, built)
    if distributed.is_first():
        check_data(directory, datamodule.identity)
        print_summary(request, built, directory, _reused(request, built, directory, shared), console)
        directory.begin(request.config, identity)
        datamodule.write_division(directory.split)
        datamodule.write_subset(directory.subset)
    distributed.wait_for_all()
    about = {**identity, **_synthetic(datamodule)}
    stage_loggers = {stage: _loggers(request, parts, directory, about, stage) for stage in request.stages}
    _fit_stages(request, built, directory, shared, stage_loggers)

    first = distributed.is_first()
    distributed.leave_process_group()
    if not first:
        return identity
    result = {**identity, **_finish(request, built, directory)}
    reused = [stage for stage, summary in result["stages"].items() if summary.get("reused")]
    loggers.report(stage_loggers[built.last], result, _run_files(directory, reused))
    return result


def report_again(request: RunRequest, parts: Parts, directory: RunDirectory) -> None:
    """Send the result of a finished run to the loggers, as if it had just been trained."""
    result = directory.finished()
    assert result is not None
    chosen = _loggers(request, parts, directory, result, request.stages[-1])
    loggers.report(chosen, result, _run_files(directory, request.stages))


def dataset_name(dataset: str, datamodule: RegressionDataModule) -> str:
    """The data set's name in results; synthetic data never have the name of the real data set."""
    return f"{dataset}_synthetic" if datamodule.synthetic else dataset


def _fit_stages(
    request: RunRequest,
    built: BuiltRun,
    directory: RunDirectory,
    shared: Mapping[str, SharedEncoders],
    stage_loggers: Mapping[str, list[Logger]],
) -> None:
    """Fit each stage that is not finished, from the encoder of the stage before, or copy its shared encoder."""
    origin = {
        "run": request.name,
        "encoder": request.config["encoder"],
        "data_fingerprint": built.datamodule.fingerprint,
        "git_revision": git_revision(),
    }

    def fit(stage: str, stage_directory: StageDirectory) -> None:
        log.info("stage %s", stage)
        fit_stage(
            built.modules[stage],
            built.datamodule,
            built.plans[stage],
            stage_directory,
            seed=derive_seed(request.seed, stage),
            origin=origin,
            make_trainer=built.make_trainer,
            callbacks=built.callbacks,
            loggers=stage_loggers[stage],
        )

    previous_encoder = request.encoder_file
    for stage, module in built.modules.items():
        stage_directory = directory.stage(stage)
        if _load_finished(module, stage_directory):
            log.info("stage %s is already finished", stage)
        elif stage in shared:
            shared[stage].load_or_train(request.name, module.exported_encoder, stage_directory, partial(fit, stage))
        else:
            if previous_encoder is not None:
                _load_previous_encoder(module, previous_encoder)
            fit(stage, stage_directory)
        if distributed.is_first() and not directory.begun():
            raise FileNotFoundError(errno.ENOENT, "removed while the run was working", str(directory.path))
        previous_encoder = stage_directory.encoder


def _shared_encoders(request: RunRequest, built: BuiltRun) -> dict[str, SharedEncoders]:
    """The shared encoder of the first stage, unless that is a regressor or starts from another run's encoder."""
    if request.encoder_dir is None or request.encoder_file is not None:
        return {}
    stage = request.stages[0]
    if isinstance(built.modules[stage], Regress):
        return {}
    shape = encoder_shape(request.config, stage, built.datamodule.fingerprint)
    return {stage: SharedEncoders(request.encoder_dir, shape)}


def _reused(
    request: RunRequest, built: BuiltRun, directory: RunDirectory, shared: Mapping[str, SharedEncoders]
) -> dict[str, str]:
    """For each stage that is not computed from the start, the reason in words."""
    reasons = {}
    for stage in built.modules:
        stage_directory = directory.stage(stage)
        if stage_directory.finished:
            reasons[stage] = "already finished"
        elif stage_directory.last_checkpoint.is_file():
            reasons[stage] = "continues from its last checkpoint"
        elif stage in shared and (trainer := shared[stage].trained_by()) is not None:
            reasons[stage] = f"uses the encoder trained by {trainer}"
    if request.encoder_file is not None:
        reasons.setdefault(request.stages[0], f"starts from {request.encoder_file}")
    return reasons


def _load_finished(module: Stage, stage_directory: StageDirectory) -> bool:
    """Load the weights of a finished stage in every process; reset a damaged one.

    Returns:
        Whether the stage is finished and its weights are loaded.
    """
    distributed.wait_for_all()
    damage = distributed.broadcast_from_first(_load(module, stage_directory) if distributed.is_first() else None)
    if damage and distributed.is_first():
        log.warning("%s; the stage is copied or trained again", damage)
        stage_directory.mark_unfinished()
    return damage is None and (distributed.is_first() or _load(module, stage_directory) is None)


def _load(module: Stage, stage_directory: StageDirectory) -> str | None:
    """Load a finished stage's weights. Returns None, or what is wrong with them; empty if the stage is not finished."""
    try:
        summary = StageSummary.read(stage_directory)
    except (ValueError, TypeError) as error:
        return f"the summary in {stage_directory.path} was damaged ({error})"
    if summary is None:
        return ""
    if damaged := _damaged_files(module, summary, stage_directory):
        if summary.checkpoint in damaged:
            stage_directory.delete()  # it could not go on from a checkpoint of unknown origin
        return f"{stage_directory.path}: {', '.join(damaged)} missing or damaged"
    try:
        if isinstance(module, Regress):
            load_weights(module, stage_directory.path / summary.checkpoint)
        else:
            load_encoder(module.exported_encoder, stage_directory.encoder)
    except ValueError as error:
        return str(error)
    return None


def _damaged_files(module: Stage, summary: StageSummary, stage_directory: StageDirectory) -> list[str]:
    """Files of a finished stage that are needed again and not as they were written; copies have no checkpoint."""
    needed = {
        name: checksum
        for name, checksum in summary.files.items()
        if name != summary.checkpoint or isinstance(module, Regress)
    }
    return damaged_files(stage_directory.path, needed)


def _load_previous_encoder(module: Stage, file: Path) -> None:
    try:
        load_encoder(module.encoder, file)
    except ValueError as error:
        raise UserError(f"{error}; encoder=... and input.channels=... must be those that it was trained with") from None


def _loggers(
    request: RunRequest, parts: Parts, directory: RunDirectory, about: Mapping[str, Any], stage: str
) -> list[Logger]:
    note = synthetic_note(about["synthetic_parts"])
    name = f"{request.name} ({note})" if note else request.name
    return parts.loggers(directory=directory.path, stage=stage, name=name, config=request.config, identity=about)


def _run_files(directory: RunDirectory, stages: Iterable[str]) -> RunFiles:
    """The files that loggers send; for `stages`, which another run trained, also the history."""
    directories = {stage: directory.stage(stage) for stage in stages}
    return RunFiles(
        predictions=directory.predictions_file,
        plots=directory.plots,
        encoder=(directory.encoder, directory.encoder.with_suffix(".json")),
        histories={stage: (each.history, each.diagnostics) for stage, each in directories.items()},
    )


def _finish(request: RunRequest, built: BuiltRun, directory: RunDirectory) -> dict[str, Any]:
    """Test in a single process, so that no sample counts twice, on the first GPU if GPUs are named; write the files."""
    gpus = named_gpus(request.trainer.get("devices"))
    alone = {"devices": gpus[:1] if gpus else 1, "num_nodes": 1, "strategy": "auto"}
    tester = built.make_trainer(logger=False, enable_checkpointing=False, enable_model_summary=False, **alone)
    module, datamodule, target = built.regressor, built.datamodule, built.target
    test, predictions = evaluate_regressor(module, datamodule, tester)
    write_predictions(predictions, datamodule, target, directory)
    stages = {stage: directory.stage(stage) for stage in built.modules}
    try:
        note = synthetic_note(datamodule.synthetic_parts)
        if request.config["plots"]:
            write_plots(predictions, target, stages, directory.plots, test, note)
    except ValueError as error:  # for example features that are not finite: the metrics are still written
        log.warning("no plots: %s", error)
    directory.copy_encoder(stages[built.last])
    splits = datamodule.splits
    constant = constant_predictor(splits["train"].labels, splits["test"].labels, target)
    return {
        "units": target.units,
        "target": {name: asdict(dimension) for name, dimension in target.dimensions.items()},
        "preparation": datamodule.preparation,
        "test": test,
        **({"targets": ranges} if (ranges := seen_and_unseen(predictions, datamodule, target)) else {}),
        "constant": constant,
        "worse_than_constant": worse_than_constant(test, constant),
        "stages": {stage: _stage_report(built.modules[stage], stages[stage], request.name) for stage in stages},
        "counts": datamodule.counts,
        "skipped": datamodule.skipped,
        **_synthetic(datamodule),
        "data_fingerprint": datamodule.fingerprint,
        "parameters": sum(p.numel() for p in module.parameters()),
        "versions": versions(),
        "machine": machine(),
        "code": training_code_version(),
        "git_revision": git_revision(),
    }


def _synthetic(datamodule: RegressionDataModule) -> dict[str, Any]:
    """Whether the data are entirely synthetic, and which of their parts are synthetic."""
    return {"synthetic_data": datamodule.synthetic, "synthetic_parts": list(datamodule.synthetic_parts)}


def _stage_report(module: Stage, stage_directory: StageDirectory, run: str) -> dict[str, Any]:
    """The entry of a stage in `result.json`; for stage one also its encoder and whether another run trained it."""
    summary = StageSummary.read(stage_directory)
    assert summary is not None
    report = {
        "epochs": summary.epochs,
        "seconds": summary.seconds,
        "chosen_epoch": summary.chosen_epoch,
        "metrics": finite_or_none(summary.metrics),
    }
    if isinstance(module, Regress):
        return report
    card = read_card(stage_directory.encoder)
    return {**report, "encoder": card["sha256"][:16], "reused": card.get("run") != run}
