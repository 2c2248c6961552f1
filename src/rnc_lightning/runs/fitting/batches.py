"""Batches that the data or batch normalisation do not allow: more samples than there are, or a single one."""

import copy
import logging
from dataclasses import replace

import torch
from torch import Tensor, nn

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.loading.sampling import single_in_last_batch
from rnc_lightning.runs.fitting.fit import ONE_VALUE, StagePlan
from rnc_lightning.stages.base import Stage
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)


def fit_to_data(plan: StagePlan, stage: str, samples: int, processes: int, smaller: bool) -> StagePlan:
    """The plan with batches that the training set can fill.

    Args:
        plan: Length and batches of the stage.
        stage: Its name.
        samples: Training samples.
        processes: Processes of the run.
        smaller: Whether a batch larger than the data becomes one of all data, with a warning; else it is refused.

    Raises:
        UserError: Says which batch size to set.
    """
    if samples < processes:
        raise UserError(
            f"trainer.devices: {processes} processes cannot share {samples} training samples: use trainer.devices=1"
        )
    if not plan.drop_last or samples >= plan.batch_size:
        return plan
    most = samples - samples % processes
    key = "recipe.pretrain.batch_size" if stage == "pretrain" else f"stages.{stage}.batch_size"
    if smaller:
        log.warning("%s: %d is more than the %d training samples; %d are used", key, plan.batch_size, samples, most)
        return replace(plan, batch_size=most)
    raise UserError(
        f"{key}: {plan.batch_size} is more than the {samples} training samples, and incomplete batches are dropped, so "
        f"that none would remain: set {key}={most}"
    )


def join_single(plan: StagePlan, module: Stage, datamodule: RegressionDataModule, processes: int) -> StagePlan:
    """The plan with a last batch of one sample joined to the one before, if the encoder cannot train on one sample.

    Args:
        plan: Length and batches of the stage.
        module: The stage.
        datamodule: The data, already read.
        processes: Processes that normalise their shares of a batch separately.

    Raises:
        UserError: If all batches have a single sample.
    """
    samples = len(datamodule.splits["train"])
    smallest = min(plan.batch_size, samples) // processes
    last = not plan.drop_last and single_in_last_batch(samples, plan.batch_size, processes)
    if (plan.views or 1) > 1 or getattr(module, "freeze_encoder", False) or not (last or smallest == 1):
        return plan
    if not _fails_on_one(module.encoder, datamodule.first_input("train")):
        return plan
    if smallest == 1:
        raise UserError(
            f"batch_size: batches of {min(plan.batch_size, samples)} give a process a single sample, and batch "
            "normalisation in training needs two: use larger batches, more training samples or another encoder"
        )
    left = samples % plan.batch_size
    log.info(
        "the last %d of %d training samples join the batch before, because batch normalisation needs two samples",
        *(left, samples),
    )
    return replace(plan, join_single=True)


def _fails_on_one(encoder: nn.Module, x: Tensor) -> bool:
    """Whether the encoder in training mode refuses a single input; a copy is tried, and no random number is used up."""
    tried = copy.deepcopy(encoder).cpu().train()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        try:
            tried(x[None])
        except ValueError as error:
            return ONE_VALUE in str(error)
    return False
