"""Stages: one LightningModule for each fit."""

from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.dino import Dino
from rnc_lightning.stages.pretrain import Pretrain
from rnc_lightning.stages.regress import Predictions, Regress
from rnc_lightning.stages.schedule import CosinePerEpoch, cosine_per_epoch

__all__ = ["CosinePerEpoch", "Dino", "Predictions", "Pretrain", "Regress", "Stage", "cosine_per_epoch"]
