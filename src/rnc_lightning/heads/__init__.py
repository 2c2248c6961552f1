"""Heads: features to outputs, their loss, and the prediction in label units."""

from rnc_lightning.heads.point import PointHead

__all__ = ["PointHead"]
