"""Precision in which losses compute, whatever autocast made of their inputs."""

import torch
from torch import Tensor
from torch.nn import functional as F


def widened(values: Tensor) -> Tensor:
    """Values in float32 at least."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def unit_rows(rows: Tensor) -> Tensor:
    """Rows (N, F) scaled to length 1, in float32 at least; a row of zeros stays as it is."""
    return F.normalize(widened(rows), dim=1)


def products(a: Tensor, b: Tensor) -> Tensor:
    """Scalar products (M, N) of rows (M, F) and (N, F), in their own precision under any autocast."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b.T
