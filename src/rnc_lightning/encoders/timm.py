"""Any timm backbone as an encoder."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
from torch import Tensor, nn


class TimmEncoder(nn.Module):
    """A timm backbone without its classifier: x (B, C, H, W) to pooled features (B, F).

    Args:
        name: Name of the model in timm, such as `resnet18`.
        in_channels: Channels of the image.
        weights: Local file with pretrained weights (safetensors or a PyTorch state dict); None for random weights.
            Nothing is downloaded.
        kwargs: Further arguments of `timm.create_model`.

    Raises:
        ValueError: If timm does not know the name, or the weights file is missing or does not fit.

    >>> TimmEncoder("resnet18").num_features
    512
    """

    def __init__(
        self,
        name: str,
        in_channels: int = 3,
        weights: str | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            similar = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5))
            hint = f"; similar names: {similar}" if similar else ""
            raise ValueError(f"name: timm has no model {name!r}{hint} (timm.list_models() lists all)")
        if weights is not None and not Path(weights).is_file():
            raise ValueError(f"weights: there is no file {weights}")
        try:
            self.model: nn.Module = timm.create_model(
                name, in_chans=in_channels, num_classes=0, checkpoint_path=weights or "", **(kwargs or {})
            )
        except (RuntimeError, TypeError, KeyError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"timm could not build {name!r} with these weights and kwargs: {reason}") from error
        self.num_features = int(self.model.num_features)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to features (B, F)."""
        return self.model(x)
