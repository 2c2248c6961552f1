"""Regression targets: names, units and ranges of the label vector, label distances, groups of samples."""

from rnc_lightning.targets.spec import Grid, TargetDimension, TargetSpec

__all__ = ["Grid", "TargetDimension", "TargetSpec"]
