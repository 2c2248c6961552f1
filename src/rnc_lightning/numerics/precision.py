"""The precision in which losses and metrics compute, independent of autocast."""

import torch
from torch import Tensor
from torch.nn import functional as F

_WITHOUT_FLOAT64 = {"mps"}


def at_least_float32(values: Tensor) -> Tensor:
    """Values in float32, or in their own type where that is wider."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit_rows(rows: Tensor) -> Tensor:
    """Rows (N, F) scaled to length 1, in float32 or wider; a row of zeros does not change."""
    return F.normalize(at_least_float32(rows), dim=1)


def products(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products (M, N) of rows (M, F) and (N, F), in the rows' precision even under autocast."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b.T


def widest_dtype(device: torch.device) -> torch.dtype:
    """Float64, or float32 on Apple's GPUs, which have no float64."""
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64


def in_widest_dtype(x: Tensor) -> Tensor:
    """The tensor, detached from its graph, in the widest float type of its device."""
    return x.detach().to(widest_dtype(x.device))
