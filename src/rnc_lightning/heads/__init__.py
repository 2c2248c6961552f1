"""Heads: map features to outputs, compute the loss and decode predictions in label units. Plain PyTorch."""

from rnc_lightning.heads.balanced_mse import BalancedMSEHead
from rnc_lightning.heads.expectation import ExpectationHead
from rnc_lightning.heads.ordinal import OrdinalHead
from rnc_lightning.heads.point import PointHead

__all__ = ["BalancedMSEHead", "ExpectationHead", "OrdinalHead", "PointHead"]
