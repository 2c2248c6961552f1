"""Any timm backbone as an encoder."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from rnc_lightning.encoders.weights import load_weights
from rnc_lightning.system.errors import first_line


class TimmEncoder(nn.Module):
    """A timm backbone without its classifier: x (B, C, H, W) to pooled features (B, F).

    Args:
        name: Name of the model in timm, such as `resnet18`.
        in_channels: Channels of the image.
        weights: Local file with pretrained weights (safetensors or a PyTorch state dict); None for random weights.
            Nothing is downloaded. A classifier, prefixes of names, other channels and image sizes are fitted.
        img_size: Side of the images in pixels, for models that are built for one size, such as vision transformers;
            None: the model's own.
        kwargs: Further arguments of `timm.create_model`.

    Raises:
        ValueError: If timm does not know the name, the model does not take images of this size or gives no pooled
            features, or the weights file is missing or does not fit.

    >>> TimmEncoder("resnet18").num_features
    512
    """

    def __init__(
        self,
        name: str,
        in_channels: int = 3,
        weights: str | None = None,
        img_size: int | None = None,
        kwargs: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            similar = ", ".join(difflib.get_close_matches(name, timm.list_models(), n=3, cutoff=0.5))
            hint = f"; similar names: {similar}" if similar else ""
            raise ValueError(f"name: timm has no model {name!r}{hint} (timm.list_models() lists all)")
        if weights is not None and not Path(weights).is_file():
            raise ValueError(f"weights: there is no file {weights}")
        if clash := {"in_chans", "num_classes"} & set(kwargs or {}):
            raise ValueError(f"kwargs: {', '.join(sorted(clash))} is set by the suite (input.channels, the head)")
        arguments = model_arguments(name, in_channels, img_size, kwargs)
        try:
            self.model: nn.Module = timm.create_model(**arguments, num_classes=0)
        except Exception as error:  # a constructor of timm may raise anything
            raise ValueError(f"timm could not build {name!r} with {arguments}: {first_line(error)}") from error
        self.num_features = _pooled_width(self.model, name, in_channels, img_size)
        if weights is not None:
            load_weights(self.model, name, Path(weights), in_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to features (B, F)."""
        return self.model(x)


def model_arguments(
    name: str, in_channels: int, img_size: int | None = None, kwargs: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Arguments of `timm.create_model`, with the image size for models that are built for one size.

    >>> model_arguments("resnet18", 1, 96), model_arguments("vit_tiny_patch16_224", 3, 96)["img_size"]
    ({'model_name': 'resnet18', 'in_chans': 1}, 96)
    """
    arguments = {"model_name": name, "in_chans": in_channels, **(kwargs or {})}
    config = get_pretrained_cfg(name)
    if img_size is not None and config is not None and config.fixed_input_size:
        arguments.setdefault("img_size", img_size)
    return arguments


def _pooled_width(model: nn.Module, name: str, in_channels: int, img_size: int | None) -> int:
    """Width F of the features, found with one image: `num_features` of timm is not that of the pooled ones in general.

    Draws no random numbers and changes no statistics.
    """
    config: Any = model.pretrained_cfg
    height, width = (img_size, img_size) if img_size is not None else config["input_size"][1:]
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            features = model(torch.zeros(1, in_channels, height, width))
    except Exception as error:  # a model of timm may raise anything for a size that it is not made for
        raise ValueError(
            f"{name} does not take images of {height} x {width} pixels ({first_line(error)}): choose input.size, or "
            "another encoder.name"
        ) from error
    finally:
        model.train(training)
    if not isinstance(features, Tensor) or features.dim() != 2:
        raise ValueError(f"{name} with these kwargs gives no pooled features (B, F); global_pool changes that")
    return features.shape[1]
