"""What a run does, once its configuration has been checked: fit the stages, test, write."""

import logging
from pathlib import Path
from typing import Any

from lightning import Trainer

from rnc_lightning.composition import Parts
from rnc_lightning.data.datamodule import RegressionDataModule
from rnc_lightning.encoders.handoff import load_encoder
from rnc_lightning.errors import UserError
from rnc_lightning.evaluation import evaluate_regressor, write_plots, write_predictions
from rnc_lightning.results import constant_predictor, finite, git_revision, machine, versions
from rnc_lightning.run_directory import RunDirectory
from rnc_lightning.seeding import derive_seed
from rnc_lightning.stages import Regress, Stage
from rnc_lightning.stages.fit import StageSummary, fit_stage, load_weights

log = logging.getLogger(__name__)


def execute(parts: Parts, config: dict[str, Any], directory: RunDirectory, name: str) -> dict[str, Any]:
    """Fit what is not fitted yet, test the last stage, write everything but `result.json`.

    All parts are built before the directory is made, so that what cannot run leaves none behind.
    """
    target = parts.target()
    plans = {stage: parts.plan(stage) for stage in config["stages"]}
    make_trainer = parts.trainer()
    modules = {stage: parts.stage(stage, target) for stage in plans}
    datamodule = parts.data()
    callbacks = parts.callbacks()
    last = list(modules)[-1]
    if not isinstance(modules[last], Regress):
        raise UserError(f"stages.{last} comes last and must be a regressor: nothing else can be tested")

    directory.begin(config)
    directory.check_data(datamodule.fingerprint)
    origin = {
        "run": name,
        "encoder": config["encoder"],
        "data_fingerprint": datamodule.fingerprint,
        "git_revision": git_revision(),
    }
    before: Path | None = None
    summaries: dict[str, StageSummary] = {}
    for stage, plan in plans.items():
        path = directory.stage(stage)
        summary = StageSummary.read(path)
        if summary is None:
            if before is not None:
                load_encoder(modules[stage].encoder, before)
            log.info("stage %s: %d epochs", stage, plan.epochs)
            summary = fit_stage(
                modules[stage],
                datamodule,
                plan,
                path,
                seed=derive_seed(config["seed"], stage),
                origin=origin,
                make_trainer=make_trainer,
                callbacks=callbacks,
                loggers=parts.loggers(directory=directory.path, stage=stage, name=name, config=config),
            )
        else:
            log.info("stage %s is finished already", stage)
            load_weights(modules[stage], path / summary.checkpoint)
        summaries[stage] = summary
        before = path / "encoder.safetensors"

    tester = make_trainer(logger=False, enable_checkpointing=False, enable_model_summary=False, devices=1)
    return _finish(modules, datamodule, tester, directory, summaries)


def _finish(
    modules: dict[str, Stage],
    datamodule: RegressionDataModule,
    tester: Trainer,
    directory: RunDirectory,
    summaries: dict[str, StageSummary],
) -> dict[str, Any]:
    last = list(modules)[-1]
    module = modules[last]
    assert isinstance(module, Regress)
    test, predictions = evaluate_regressor(module, datamodule, tester)
    target = module.target
    write_predictions(predictions, datamodule, target, directory.path)
    stage_paths = {name: directory.stage(name) for name in modules}
    try:
        write_plots(predictions, target, stage_paths, directory.path / "plots", test.get("mae"))
    except ValueError as error:  # features that are not finite, say: no reason to lose the numbers
        log.warning("no plots: %s", error)
    directory.keep_encoder(last)
    splits = datamodule.splits
    return {
        "units": target.units,
        "test": test,
        "constant": finite(constant_predictor(splits["train"].targets, splits["test"].targets, target)),
        "stages": {
            name: {
                "epochs": summary.epochs,
                "seconds": summary.seconds,
                "chosen_epoch": summary.chosen_epoch,
                "metrics": finite(summary.metrics),
            }
            for name, summary in summaries.items()
        },
        "counts": datamodule.counts,
        "data_fingerprint": datamodule.fingerprint,
        "parameters": sum(p.numel() for p in module.parameters()),
        "versions": versions(),
        "machine": machine(),
        "git_revision": git_revision(),
    }
