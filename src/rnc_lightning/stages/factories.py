"""Objectives and regularizers that depend on the encoder's width or the target are built when both are known."""

from collections.abc import Callable
from typing import Any

from torch import nn

from rnc_lightning.targets import TargetSpec

ModuleOrFactory = nn.Module | Callable[..., nn.Module]


def build_for(part: ModuleOrFactory | None, in_features: int, target: TargetSpec, stage: str | None = None) -> Any:
    """Return a module, or call a factory with `in_features` and `target`.

    If the module has `use_target(target)`, it is called, for settings that depend on the labels.

    Args:
        part: A module that needs neither, such as `RnCLoss`, or a factory.
        in_features: Width F of the encoder's features.
        target: The target, with its ranges.
        stage: Name of the calling stage, if some modules can only be trained there (`needs_stage`).

    Raises:
        ValueError: If `part` is neither, or the module needs another stage.
    """
    module: Any = part
    if part is not None and not isinstance(part, nn.Module):
        module = part(in_features=in_features, target=target)
    if not isinstance(module, nn.Module):
        raise ValueError(f"must be a module or build one from in_features and target, got {part}")
    use_target: Any = getattr(module, "use_target", None)
    if use_target is not None:
        use_target(target)
    if (needed := getattr(module, "needs_stage", None)) and needed != stage:
        raise ValueError(f"{type(module).__name__} can only be trained by the stage {needed}")
    return module
