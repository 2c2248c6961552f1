"""Additions to a regressor: loss terms on features, sample weights, feature calibration. Plain PyTorch."""

from rnc_lightning.regularizers.conr import ConR, conr_loss
from rnc_lightning.regularizers.fds import FDS
from rnc_lightning.regularizers.lds import LDS, bin_weights
from rnc_lightning.regularizers.ordinal_entropy import OrdinalEntropy, ordinal_entropy_terms
from rnc_lightning.regularizers.ranksim import RankSim, ranksim_loss

__all__ = [
    "FDS",
    "LDS",
    "ConR",
    "OrdinalEntropy",
    "RankSim",
    "bin_weights",
    "conr_loss",
    "ordinal_entropy_terms",
    "ranksim_loss",
]
