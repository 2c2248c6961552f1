"""All parts of a run, built before its directory is made, so that what cannot run leaves nothing behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lightning import Callback, Trainer

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
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
        datamodule: The data set, read.
        target: What is regressed, its ranges closed.
        plans: Length and batches of each stage.
        modules: Each stage with fresh weights, the regressor last.
        make_trainer: Makes a Trainer for a stage.
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
        """Name of the last stage, the regressor's."""
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
        UserError: For whatever of them the user can fix.
    """
    plans = {stage: parts.plan(stage) for stage in request.stages}
    make_trainer = parts.trainer()
    callbacks = parts.callbacks()
    datamodule = parts.data()
    labels = datamodule.splits["train"].targets
    target = parts.target(labels, datamodule.target_names)
    modules = {stage: parts.stage(stage, target) for stage in plans}
    last = request.stages[-1]
    regressor = modules[last]
    if not isinstance(regressor, Regress):
        raise UserError(f"stages.{last} comes last and must be a regressor: nothing else can be tested")
    regressor.fit_labels(labels)
    for stage, module in modules.items():
        check_local_views(module, datamodule, plans[stage])
    return BuiltRun(datamodule, target, plans, modules, make_trainer, callbacks)
