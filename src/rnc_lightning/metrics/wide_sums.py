"""Metrics that sum in float64, independent of the precision of the module that holds them."""

from typing import Any

import torch
from torchmetrics import Metric

from rnc_lightning.numerics.precision import widest_dtype


class WideSums(Metric):
    """Base of metrics that sum in float64.

    The sums move with the module that holds them, but conversions such as `module.to(torch.bfloat16)` do not change
    their type; only on a device without float64 they become float32.
    """

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if self._dtype_convert:  # called by `set_dtype`
            return super()._apply(fn, *args, **kwargs)
        device = fn(torch.zeros(0)).device
        if widest_dtype(device) is torch.float32:
            self.set_dtype(torch.float32)
        return super()._apply(lambda tensor: tensor.to(device), *args, **kwargs)
