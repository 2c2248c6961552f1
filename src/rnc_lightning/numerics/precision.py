"""The precision in which losses and metrics compute, whatever autocast made of their inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F

_WITHOUT_FLOAT64 = {"mps"}


def at_least_float32(values: Tensor) -> Tensor:
    """Values in float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit_rows(rows: Tensor) -> Tensor:
    """Rows (N, F) scaled to length 1, in float32 at least; a row of zeros stays as it is."""
    return F.normalize(at_least_float32(rows), dim=1)


def products(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products (M, N) of rows (M, F) and (N, F), in their own precision under any autocast."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b.T


def widest_dtype(device: torch.device) -> torch.dtype:
    """Float64, or float32 on Apple's GPUs, which have no float64."""
    return torch.float32 if device.type in _WITHOUT_FLOAT64 else torch.float64


def in_widest_dtype(x: Tensor) -> Tensor:
    """The tensor without its graph, in the widest float type of its device."""
    return x.detach().to(widest_dtype(x.device))
