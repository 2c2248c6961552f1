"""What every Trainer of the suite has, whatever the configuration says of it."""

import logging
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

from lightning import Trainer
from lightning.fabric.plugins.environments.lightning import LightningEnvironment

from rnc_lightning.numerics import distributed
from rnc_lightning.runs.devices import check_trainer, shared_gpu_arguments
from rnc_lightning.runs.fitting.checkpoints import AtomicCheckpoints
from rnc_lightning.system.errors import UserError


def trainer_factory(chosen: "partial[Trainer]") -> Callable[..., Trainer]:
    """A factory of Trainers that start no processes of their own and write checkpoints that are whole.

    Args:
        chosen: The configuration's Trainer, to be made once for each stage.

    Raises:
        UserError: Where such a Trainer would not run in the processes that there are, or not in its precision.
    """
    # Lightning is told that nobody else starts processes, so that it looks for no Slurm or torchrun of its own.
    plugins = [*(chosen.keywords.get("plugins") or []), LightningEnvironment(), AtomicCheckpoints()]

    def factory(**settings: Any) -> Trainer:
        shared = {} if "devices" in settings else shared_gpu_arguments(chosen.keywords)
        return chosen(**{"plugins": plugins, **shared, **settings})

    made = factory(logger=False, enable_checkpointing=False)
    check_trainer(made, distributed.world_size())
    if chosen.keywords.get("precision") == "16-mixed" and made.strategy.root_device.type == "cpu":
        # Lightning would take bf16 instead, with a warning.
        raise UserError("trainer.precision: 16-mixed needs a GPU; on a CPU take bf16-mixed")
    return factory


def quiet_lightning() -> None:
    """Leave out Lightning's notes on hardware, its advertisements and its deprecation warnings about itself."""
    warnings.filterwarnings("ignore", message=".*LeafSpec.*")
    warnings.filterwarnings("ignore", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", message=".*in eval mode at the start of training.*")  # a frozen encoder
    warnings.filterwarnings("ignore", message=".*number of training batches.*")
    warnings.filterwarnings("ignore", message=".*Checkpoint directory .* exists and is not empty.*")  # on resuming
    warnings.filterwarnings("ignore", message=".*recommended to use .*sync_dist=True.*")  # all are joined before
    warnings.filterwarnings("ignore", message=".*but have no `validation_step`.*")  # stage one has none
    warnings.filterwarnings("ignore", message=".*`srun` command is available.*")  # a run starts its processes itself
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
