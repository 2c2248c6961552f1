"""Encoders: input x to features (B, F)."""

from typing import TYPE_CHECKING, Any

from rnc_lightning.encoders.handoff import load_encoder, save_encoder
from rnc_lightning.encoders.mlp import MLP
from rnc_lightning.encoders.resnet1d import ResNet1d
from rnc_lightning.encoders.small_resnet import SmallResNet

if TYPE_CHECKING:
    from rnc_lightning.encoders.timm import TimmEncoder

__all__ = ["MLP", "ResNet1d", "SmallResNet", "TimmEncoder", "load_encoder", "save_encoder"]


def __getattr__(name: str) -> Any:
    """Import timm, which takes seconds, only for an encoder of its own."""
    if name == "TimmEncoder":
        from rnc_lightning.encoders.timm import TimmEncoder

        return TimmEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
