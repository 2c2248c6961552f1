"""Objectives and regularizers that depend on the encoder's width or on the target are made when both are known."""

from collections.abc import Callable
from typing import Any

from torch import nn

from rnc_lightning.targets import TargetSpec

ModuleOrFactory = nn.Module | Callable[..., nn.Module]


def build_for(part: ModuleOrFactory | None, in_features: int, target: TargetSpec, stage: str | None = None) -> Any:
    """A module as it is; what makes one, called with `in_features` and `target`.

    Args:
        part: A module that needs neither, such as `RnCLoss`, or a factory.
        in_features: Width F of the encoder's features.
        target: What is regressed, with its ranges.
        stage: Name of the stage that asks, where it is some modules' own.

    Raises:
        ValueError: For what is neither, and for a module that belongs into another stage, its own (`needs_stage`).
    """
    module = part if isinstance(part, nn.Module) else part(in_features=in_features, target=target) if part else None
    if not isinstance(module, nn.Module):
        raise ValueError(f"must be a module, or make one from in_features and target; got {part}")
    if (own := getattr(module, "needs_stage", None)) and own != stage:
        raise ValueError(f"{type(module).__name__} is trained by a stage of its own ({own}), not by this one")
    return module
