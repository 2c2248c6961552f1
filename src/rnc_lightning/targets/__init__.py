"""What is regressed: names, units and ranges of the label vector, distances, ranges, groups. Plain PyTorch."""

from rnc_lightning.targets.spec import Grid, TargetDimension, TargetSpec

__all__ = ["Grid", "TargetDimension", "TargetSpec"]
