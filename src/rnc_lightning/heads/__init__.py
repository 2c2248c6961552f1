"""Heads: map features to outputs, compute the loss and decode predictions in label units. Plain PyTorch.

Label units are those of the target that a head is built for. The stages build heads for `TargetSpec.in_model_units()`
and convert labels and predictions, so that settings in label units are in standard deviations for standardised labels.
"""

from rnc_lightning.heads.balanced_mse import BalancedMSEHead
from rnc_lightning.heads.expectation import ExpectationHead
from rnc_lightning.heads.ordinal import OrdinalHead
from rnc_lightning.heads.point import PointHead

__all__ = ["BalancedMSEHead", "ExpectationHead", "OrdinalHead", "PointHead"]
