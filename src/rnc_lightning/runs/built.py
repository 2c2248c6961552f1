"""All parts of a run, built before its directory is created, so that a run that cannot start leaves nothing behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lightning import Callback, Trainer

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.numerics import distributed
from rnc_lightning.runs.fitting.batches import fit_to_data, join_single
from rnc_lightning.runs.fitting.fit import StagePlan, check_local_views
from rnc_lightning.runs.parts import Parts
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.stages import Regress, Stage
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets import TargetSpec


@dataclass(frozen=True)
class BuiltRun:
    """The parts of a run.

    Attributes:
        datamodule: The data set, already read.
        target: The target, with known ranges.
        plans: Length and batches of each stage.
        modules: The module of each stage with fresh weights, the regressor last.
        make_trainer: Creates the Trainer of a stage.
        callbacks: Optional callbacks of every stage.
    """

    datamodule: RegressionDataModule
    target: TargetSpec
    plans: Mapping[str, StagePlan]
    modules: Mapping[str, Stage]
    make_trainer: Callable[..., Trainer]
    callbacks: list[Callback]

    @property
    def last(self) -> str:
        """Name of the last stage, that of the regressor."""
        return list(self.modules)[-1]

    @property
    def regressor(self) -> Regress:
        """The module of the last stage."""
        module = self.modules[self.last]
        assert isinstance(module, Regress)
        return module


def build(request: RunRequest, parts: Parts) -> BuiltRun:
    """Build and check all parts of a run.

    Raises:
        UserError: For anything that the user can fix.
    """
    plans = {stage: parts.plan(stage) for stage in request.stages}
    make_trainer = parts.trainer()
    callbacks = parts.callbacks()
    datamodule = parts.data()
    labels = datamodule.splits["train"].targets
    target = parts.target(labels, datamodule.target_names)
    processes, smaller = distributed.world_size(), bool(request.config["recipe"].get("smaller_batches"))
    plans = {stage: fit_to_data(plan, stage, len(labels), processes, smaller) for stage, plan in plans.items()}
    modules = {stage: parts.stage(stage, target) for stage in plans}
    last = request.stages[-1]
    regressor = modules[last]
    if not isinstance(regressor, Regress):
        raise UserError(f"stages.{last} is the last stage and must be a regressor: only a regressor can be tested")
    regressor.fit_labels(labels)
    for stage, module in modules.items():
        check_local_views(module, datamodule, plans[stage])
    if processes == 1 or not request.trainer.get("sync_batchnorm"):
        plans = {stage: join_single(plan, modules[stage], datamodule, processes) for stage, plan in plans.items()}
    return BuiltRun(datamodule, target, plans, modules, make_trainer, callbacks)
