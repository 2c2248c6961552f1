"""Settings that every Trainer of the suite has, whatever the configuration says."""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from lightning import LightningModule, Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import ProgressBar, RichProgressBar

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.runs.devices import check_trainer, shared_gpu_arguments
from rnc_lightning.runs.fitting.checkpoints import AtomicCheckpoints
from rnc_lightning.system.errors import UserError


def trainer_factory(chosen: "partial[Trainer]") -> Callable[..., Trainer]:
    """A factory of Trainers that start no processes and write checkpoints atomically.

    Args:
        chosen: The Trainer of the configuration; one is created for each stage.

    Raises:
        UserError: If such a Trainer does not fit the running processes, or its precision does not fit the device.
    """
    # With this environment plugin Lightning does not look for Slurm or torchrun.
    plugins = [*(chosen.keywords.get("plugins") or []), LightningEnvironment(), AtomicCheckpoints()]

    def factory(**settings: Any) -> Trainer:
        shared = {} if "devices" in settings else shared_gpu_arguments(chosen.keywords)
        arguments = {**chosen.keywords, "plugins": plugins, **shared, **settings}
        callbacks = [*(arguments.get("callbacks") or [])]
        if arguments.get("enable_progress_bar", True) and not any(isinstance(c, ProgressBar) for c in callbacks):
            callbacks.append(SignificantProgress())
        return chosen(**{**arguments, "callbacks": callbacks})

    trainer = factory(logger=False, enable_checkpointing=False)
    check_trainer(trainer, distributed.world_size())
    if chosen.keywords.get("precision") == "16-mixed" and trainer.strategy.root_device.type == "cpu":
        # Lightning would use bf16 instead, with a warning.
        raise UserError("trainer.precision: 16-mixed needs a GPU; use bf16-mixed on a CPU")
    return factory


class SignificantProgress(RichProgressBar):
    """Lightning's progress bar with significant digits: it shows 0.000 for a loss of 1e-5."""

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:  # type: ignore[override]
        """The values of the bar as texts."""
        metrics = super().get_metrics(trainer, pl_module)
        return {name: format_number(v) if isinstance(v, float) else v for name, v in metrics.items()}


def quiet_lightning() -> None:
    """Hide Lightning's notes on hardware, its advertisements and deprecation warnings about its own code."""
    for message in (
        "LeafSpec",
        "does not have many workers",
        "in eval mode at the start of training",  # a frozen encoder
        "number of training batches",
        "Checkpoint directory .* exists and is not empty",  # on resuming
        "recommended to use .*sync_dist=True",  # values are already reduced over the processes
        "but have no `validation_step`",  # stage one has none
        "`srun` command is available",  # a run starts its processes itself
    ):
        warnings.filterwarnings("ignore", message=f".*{message}.*")
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
