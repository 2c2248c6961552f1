"""What a run does, once its configuration has been checked: build, fit the stages, test, write."""

import logging
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from lightning.pytorch.loggers import Logger
from rich.console import Console

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.encoders.handoff import load_encoder, read_card
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.runs.built import BuiltRun, build
from rnc_lightning.runs.devices import named_gpus
from rnc_lightning.runs.directory import RunDirectory, StageDirectory
from rnc_lightning.runs.fitting.checkpoints import is_sound
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
    write_plots,
    write_predictions,
)
from rnc_lightning.stages import Regress, Stage
from rnc_lightning.system.code_version import training_code_version
from rnc_lightning.system.environment import git_revision, machine, versions
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.synthetic_marker import synthetic_note
from rnc_lightning.tracking import loggers
from rnc_lightning.tracking.run_files import RunFiles

log = logging.getLogger(__name__)


def execute(request: RunRequest, parts: Parts, directory: RunDirectory, console: Console) -> dict[str, Any]:
    """Fit what is not fitted yet, test the last stage, write everything but the final `result.json`; returns it.

    Over several processes all of them fit, and the first one writes and tests; the others return the identity alone.
    All parts are built before the directory is made, so that what cannot run leaves none behind.
    """
    identity = request.identity
    built = build(request, parts)
    datamodule = built.datamodule
    identity = {**identity, "dataset": dataset_name(request.config["dataset"], datamodule)}
    shared = _shared_encoders(request, built)
    if distributed.is_first():
        print_summary(request, built, directory, _reused(request, built, directory, shared), console)
        directory.begin(request.config, identity)
        directory.check_data(datamodule.fingerprint)
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
    loggers.report(stage_loggers[built.last], result, _ended(directory, reused))
    return result


def report_again(request: RunRequest, parts: Parts, directory: RunDirectory) -> None:
    """Give the loggers what a finished run ended with, as if it had just been trained."""
    result = directory.finished()
    assert result is not None
    told = _loggers(request, parts, directory, result, request.stages[-1])
    loggers.report(told, result, _ended(directory, request.stages))


def dataset_name(dataset: str, datamodule: RegressionDataModule) -> str:
    """The name that results carry: synthetic data never have that of the real ones."""
    return f"{dataset}_synthetic" if datamodule.synthetic else dataset


def _fit_stages(
    request: RunRequest,
    built: BuiltRun,
    directory: RunDirectory,
    shared: Mapping[str, SharedEncoders],
    stage_loggers: Mapping[str, list[Logger]],
) -> None:
    """Fit or fetch each stage that is not finished, from the encoder of the one before."""
    origin = {
        "run": request.name,
        "encoder": request.config["encoder"],
        "data_fingerprint": built.datamodule.fingerprint,
        "git_revision": git_revision(),
    }

    def fit(stage: str, place: StageDirectory) -> None:
        log.info("stage %s", stage)
        fit_stage(
            built.modules[stage],
            built.datamodule,
            built.plans[stage],
            place,
            seed=derive_seed(request.seed, stage),
            origin=origin,
            make_trainer=built.make_trainer,
            callbacks=built.callbacks,
            loggers=stage_loggers[stage],
        )

    before = request.encoder_file
    for stage, module in built.modules.items():
        place = directory.stage(stage)
        if _load_finished(module, place):
            log.info("stage %s is finished already", stage)
        elif stage in shared:
            shared[stage].load_or_train(request.name, module.exported_encoder, place, partial(fit, stage))
        else:
            if before is not None:
                _take_encoder(module, before)
            fit(stage, place)
        before = place.encoder


def _shared_encoders(request: RunRequest, built: BuiltRun) -> dict[str, SharedEncoders]:
    """The shared encoder of each stage that may take one: stages other than a regressor, where none comes before."""
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
    """By stage, what need not be computed again, in words."""
    found = {}
    for stage in built.modules:
        place = directory.stage(stage)
        if place.finished:
            found[stage] = "finished already"
        elif place.last_checkpoint.is_file():
            found[stage] = "goes on from its last checkpoint"
        elif stage in shared and (trainer := shared[stage].trained_by()) is not None:
            found[stage] = f"encoder that {trainer} trained"
    if request.encoder_file is not None:
        found.setdefault(request.stages[0], f"starts from {request.encoder_file}")
    return found


def _load_finished(module: Stage, place: StageDirectory) -> bool:
    """Whether the stage is finished and its weights are loaded, in every process; one that is damaged is undone."""
    distributed.wait_for_all()
    damage = distributed.broadcast_from_first(_load(module, place) if distributed.is_first() else None)
    if damage and distributed.is_first():
        log.warning("%s; the stage is fetched or trained again", damage)
        if isinstance(module, Regress):
            place.delete()
        else:
            place.mark_unfinished()
    return damage is None and (distributed.is_first() or _load(module, place) is None)


def _load(module: Stage, place: StageDirectory) -> str | None:
    """Load a finished stage's weights; else what is wrong with them, empty where the stage is not finished."""
    try:
        summary = StageSummary.read(place)
    except (ValueError, TypeError) as error:
        return f"the summary in {place.path} was damaged ({error})"
    if summary is None:
        return ""
    if isinstance(module, Regress):
        checkpoint = place.path / summary.checkpoint
        if not is_sound(checkpoint):
            return f"{checkpoint} was damaged or is missing"
        load_weights(module, checkpoint)
        return None
    try:
        load_encoder(module.exported_encoder, place.encoder)
    except ValueError as error:
        return str(error)
    return None


def _take_encoder(module: Stage, file: Any) -> None:
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


def _ended(directory: RunDirectory, stages: Any) -> RunFiles:
    """The files that loggers send; of `stages`, which another run trained, the history too."""
    places = {stage: directory.stage(stage) for stage in stages}
    return RunFiles(
        predictions=directory.predictions_file,
        plots=directory.plots,
        encoder=(directory.encoder, directory.encoder.with_suffix(".json")),
        histories={stage: (place.history, place.diagnostics) for stage, place in places.items()},
    )


def _finish(request: RunRequest, built: BuiltRun, directory: RunDirectory) -> dict[str, Any]:
    """Test in one process alone, so that no sample counts twice, on the first GPU of those that were named."""
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
            write_plots(predictions, target, stages, directory.plots, test.get("mae"), note)
    except ValueError as error:  # features that are not finite, say: no reason to lose the numbers
        log.warning("no plots: %s", error)
    directory.copy_encoder(stages[built.last])
    splits = datamodule.splits
    return {
        "units": target.units,
        "target": {name: asdict(dimension) for name, dimension in target.dimensions.items()},
        "preparation": datamodule.preparation,
        "test": test,
        **({"targets": ranges} if (ranges := seen_and_unseen(predictions, datamodule, target)) else {}),
        "constant": finite_or_none(constant_predictor(splits["train"].labels, splits["test"].labels, target)),
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
    """Whether the data are synthetic as a whole, and which parts of them are."""
    return {"synthetic_data": datamodule.synthetic, "synthetic_parts": list(datamodule.synthetic_parts)}


def _stage_report(module: Stage, place: StageDirectory, run: str) -> dict[str, Any]:
    """What `result.json` says of a stage; of stage one also which encoder, and whether another run trained it."""
    summary = StageSummary.read(place)
    assert summary is not None
    report = {
        "epochs": summary.epochs,
        "seconds": summary.seconds,
        "chosen_epoch": summary.chosen_epoch,
        "metrics": finite_or_none(summary.metrics),
    }
    if isinstance(module, Regress):
        return report
    card = read_card(place.encoder)
    return {**report, "encoder": card["sha256"][:16], "reused": card.get("run") != run}
