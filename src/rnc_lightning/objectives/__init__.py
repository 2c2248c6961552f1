"""Objectives of stage one: each is a function of features and a thin module around it. Plain PyTorch."""

from rnc_lightning.objectives.dino import DINO, dino_loss
from rnc_lightning.objectives.rnc import RnCLoss, rnc_loss, rnc_loss_floor
from rnc_lightning.objectives.simclr import SimCLR, nt_xent_loss
from rnc_lightning.objectives.supcon import SupCon, supcon_loss
from rnc_lightning.objectives.supremix import SupReMix, supremix_loss

__all__ = [
    "DINO",
    "RnCLoss",
    "SimCLR",
    "SupCon",
    "SupReMix",
    "dino_loss",
    "nt_xent_loss",
    "rnc_loss",
    "rnc_loss_floor",
    "supcon_loss",
    "supremix_loss",
]
