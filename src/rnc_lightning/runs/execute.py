"""What a run does, once its configuration has been checked: fit the stages, test, write."""

import logging
import shutil
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.loggers import Logger

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.encoders.handoff import load_encoder, read_card
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.fitting.checkpoints import is_sound
from rnc_lightning.runs.fitting.fit import StageSummary, check_local_views, fit_stage, load_weights
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.shared_encoder import SharedEncoders, encoder_shape
from rnc_lightning.runs.source_encoder import encoder_file
from rnc_lightning.runs.testing import (
    constant_predictor,
    evaluate_regressor,
    finite,
    seen_and_unseen,
    write_plots,
    write_predictions,
)
from rnc_lightning.stages import Regress, Stage
from rnc_lightning.system.code_version import training_code_version
from rnc_lightning.system.environment import git_revision, machine, versions
from rnc_lightning.system.errors import UserError
from rnc_lightning.tracking import loggers

log = logging.getLogger(__name__)


def execute(
    parts: Parts, config: dict[str, Any], directory: RunDirectory, name: str, identity: dict[str, Any]
) -> dict[str, Any]:
    """Fit what is not fitted yet, test the last stage, write everything but the final `result.json`; returns it.

    Over several processes all of them fit, and the first one writes and tests; the others return the identity alone.
    All parts are built before the directory is made, so that what cannot run leaves none behind.
    """
    plans = {stage: parts.plan(stage) for stage in config["stages"]}
    make_trainer = parts.trainer()
    callbacks = parts.callbacks()
    datamodule = parts.data()
    labels = datamodule.splits["train"].targets
    target = parts.target(labels, datamodule.target_names)
    modules = {stage: parts.stage(stage, target) for stage in plans}
    last = list(modules)[-1]
    regressor = modules[last]
    if not isinstance(regressor, Regress):
        raise UserError(f"stages.{last} comes last and must be a regressor: nothing else can be tested")
    regressor.fit_labels(labels)
    for stage, module in modules.items():
        check_local_views(module, datamodule, plans[stage])

    identity = {**identity, "dataset": dataset_name(config["dataset"], datamodule)}
    if distributed.is_first():
        directory.begin(config, identity)
        directory.check_data(datamodule.fingerprint)
        datamodule.write_division(directory.path / "split.csv")
        datamodule.write_subset(directory.path / "subset.csv")
    distributed.wait_for_all()
    origin = {
        "run": name,
        "encoder": config["encoder"],
        "data_fingerprint": datamodule.fingerprint,
        "git_revision": git_revision(),
    }

    told = {**identity, "synthetic_data": datamodule.synthetic}
    stage_loggers = {stage: _make_loggers(parts, config, directory, name, told, stage) for stage in modules}

    def fit(stage: str, place: Path) -> None:
        log.info("stage %s: %d epochs", stage, plans[stage].epochs)
        fit_stage(
            modules[stage],
            datamodule,
            plans[stage],
            place,
            seed=derive_seed(config["seed"], stage),
            origin=origin,
            make_trainer=make_trainer,
            callbacks=callbacks,
            loggers=stage_loggers[stage],
        )

    encoder_dir = config["paths"].get("encoder_dir")
    before = encoder_file(config["encoder_from"]) if config.get("encoder_from") else None
    for stage, module in modules.items():
        place = directory.stage(stage)
        if _finished(module, place):
            log.info("stage %s is finished already", stage)
        elif not isinstance(module, Regress) and before is None and encoder_dir:
            shape = encoder_shape(config, stage, datamodule.fingerprint)
            shared = SharedEncoders(Path(encoder_dir))
            shared.obtain(shape, name, module.exported_encoder, place, partial(fit, stage))
        else:
            if before is not None:
                _take_encoder(module, before)
            fit(stage, place)
        before = place / "encoder.safetensors"

    first = distributed.is_first()
    distributed.leave()
    if not first:
        return identity
    # One process alone tests, so that no sample counts twice.
    tester = make_trainer(
        logger=False, enable_checkpointing=False, enable_model_summary=False, devices=1, num_nodes=1, strategy="auto"
    )
    result = {**identity, **_finish(modules, datamodule, tester, directory, name, plots=config["plots"])}
    reused = [stage for stage, summary in result["stages"].items() if summary.get("reused")]
    loggers.report(stage_loggers[last], result, reused)
    return result


def _take_encoder(module: Stage, file: Path) -> None:
    try:
        load_encoder(module.encoder, file)
    except ValueError as error:
        raise UserError(f"{error}; encoder=... and input.channels=... must be those that it was trained with") from None


def report_again(parts: Parts, config: dict[str, Any], directory: RunDirectory, name: str) -> None:
    """Give the loggers what a finished run ended with, as if it had just been trained."""
    result = directory.finished()
    assert result is not None
    made = _make_loggers(parts, config, directory, name, result, list(result["stages"])[-1])
    loggers.report(made, result, result["stages"])


def dataset_name(dataset: str, datamodule: RegressionDataModule) -> str:
    """The name that results carry: synthetic data never have that of the real ones."""
    return f"{dataset}_synthetic" if datamodule.synthetic else dataset


def _make_loggers(
    parts: Parts, config: dict[str, Any], directory: RunDirectory, name: str, identity: dict[str, Any], stage: str
) -> list[Logger]:
    shown = f"{name} (synthetic data)" if identity["synthetic_data"] else name
    return parts.loggers(directory=directory.path, stage=stage, name=shown, config=config, identity=identity)


def _finish(
    modules: dict[str, Stage],
    datamodule: RegressionDataModule,
    tester: Trainer,
    directory: RunDirectory,
    name: str,
    plots: bool,
) -> dict[str, Any]:
    last = list(modules)[-1]
    module = modules[last]
    assert isinstance(module, Regress)
    test, predictions = evaluate_regressor(module, datamodule, tester)
    target = module.target
    write_predictions(predictions, datamodule, target, directory.path)
    stage_paths = {name: directory.stage(name) for name in modules}
    try:
        note = "synthetic data" if datamodule.synthetic else ""
        if plots:
            write_plots(predictions, target, stage_paths, directory.path / "plots", test.get("mae"), note)
    except ValueError as error:  # features that are not finite, say: no reason to lose the numbers
        log.warning("no plots: %s", error)
    directory.keep_encoder(last)
    splits = datamodule.splits
    return {
        "units": target.units,
        "target": {name: asdict(dimension) for name, dimension in target.dimensions.items()},
        "preparation": datamodule.preparation,
        "test": test,
        **({"targets": parts} if (parts := seen_and_unseen(predictions, datamodule, target)) else {}),
        "constant": finite(constant_predictor(splits["train"].labels, splits["test"].labels, target)),
        "stages": {stage: _stage_report(modules[stage], directory.stage(stage), name) for stage in modules},
        "counts": datamodule.counts,
        "skipped": datamodule.skipped,
        "synthetic_data": datamodule.synthetic,
        "data_fingerprint": datamodule.fingerprint,
        "parameters": sum(p.numel() for p in module.parameters()),
        "versions": versions(),
        "machine": machine(),
        "code": training_code_version(),
        "git_revision": git_revision(),
    }


def _finished(module: Stage, place: Path) -> bool:
    """Whether the stage is finished and its weights could be loaded, in every process."""
    distributed.wait_for_all()
    usable = distributed.broadcast_from_first(_usable(module, place) if distributed.is_first() else None)
    return usable and (distributed.is_first() or _usable(module, place))


def _usable(module: Stage, place: Path) -> bool:
    """Whether a finished stage's weights could be loaded; an encoder that was damaged since is no use."""
    summary = StageSummary.read(place)
    if summary is None:
        return False
    if isinstance(module, Regress):
        if not is_sound(place / summary.checkpoint):
            log.warning("%s was damaged or is missing: the stage is trained again", place / summary.checkpoint)
            shutil.rmtree(place)
            return False
        load_weights(module, place / summary.checkpoint)
        return True
    try:
        load_encoder(module.exported_encoder, place / "encoder.safetensors")
    except ValueError as error:
        log.warning("%s; it is fetched or trained again", error)
        (place / "stage.json").unlink()
        return False
    return True


def _stage_report(module: Stage, place: Path, run: str) -> dict[str, Any]:
    """What `result.json` says of a stage; of stage one also which encoder, and whether another run trained it."""
    summary = StageSummary.read(place)
    assert summary is not None
    report = {
        "epochs": summary.epochs,
        "seconds": summary.seconds,
        "chosen_epoch": summary.chosen_epoch,
        "metrics": finite(summary.metrics),
    }
    if isinstance(module, Regress):
        return report
    card = read_card(place / "encoder.safetensors")
    return {**report, "encoder": card["sha256"][:16], "reused": card.get("run") != run}
