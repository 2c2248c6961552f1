"""Regression targets: names, units and ranges of the label vector, label distances, groups of samples."""

from rnc_lightning.targets.dimension import TargetDimension
from rnc_lightning.targets.grid import Grid
from rnc_lightning.targets.spec import TargetSpec

__all__ = ["Grid", "TargetDimension", "TargetSpec"]
