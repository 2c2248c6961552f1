"""Encoders: input x to features (B, F)."""

from typing import TYPE_CHECKING

from rnc_lightning.encoders.handoff import load_encoder, save_encoder
from rnc_lightning.encoders.mlp import MLP
from rnc_lightning.encoders.resnet1d import ResNet1d
from rnc_lightning.encoders.small_resnet import SmallResNet
from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.encoders.timm import TimmEncoder

__all__ = ["MLP", "ResNet1d", "SmallResNet", "TimmEncoder", "load_encoder", "save_encoder"]

__getattr__ = lazy_exports(__name__, {"TimmEncoder": "timm"})  # timm takes seconds to import
