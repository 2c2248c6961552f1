"""Sums in float64 wherever the device has it."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

_WITHOUT_FLOAT64 = {"mps"}


def widest_dtype(device: torch.device) -> torch.dtype:
    """Float64, or float32 on Apple's GPUs, which have no float64."""
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64


def widened(x: Tensor) -> Tensor:
    """The tensor without its graph, in the widest float type of its device."""
    return x.detach().to(widest_dtype(x.device))


class WideSums(Metric):
    """Base of metrics that sum in float64.

    The sums move with the module that holds them, but `module.to(torch.bfloat16)` and its like do not narrow
    them; only a device without float64 gets float32.
    """

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if self._dtype_convert:  # asked for by `set_dtype`
            return super()._apply(fn, *args, **kwargs)
        device = fn(torch.zeros(0)).device
        if widest_dtype(device) is torch.float32:
            self.set_dtype(torch.float32)
        return super()._apply(lambda tensor: tensor.to(device), *args, **kwargs)
