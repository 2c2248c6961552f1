"""How features spread: over how many directions, and over samples beside the views of one sample."""

import math

import torch
from torch import Tensor

from rnc_lightning.numerics.precision import in_widest_dtype


def effective_rank(features: Tensor) -> float:
    """Over how many directions the features spread: exp of the entropy of their singular values, as shares of the sum.

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (EUSIPCO 2007), of the centred
    features. It is F where all directions spread alike, 1 where features lie on a line.

    Args:
        features: (n, F).

    Returns:
        Between 1 and min(n - 1, F); 0 where all features are the same, NaN where one is not finite or there is none.

    Raises:
        ValueError: If the shape does not fit.

    >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
    2.0
    """
    if features.ndim != 2:
        raise ValueError(f"features must be (n, F), got {tuple(features.shape)}")
    if not features.numel() or not torch.isfinite(features).all():
        return math.nan
    wide = in_widest_dtype(features.cpu())
    centred = wide - wide[0]  # exactly 0 where all are the same
    centred = centred - centred.mean(dim=0)
    # What lies below the rounding of the features' own type is no spread: the entropy would count noise.
    if float(centred.abs().max()) <= torch.finfo(features.dtype).eps * float(wide.abs().max()):
        return 0.0
    values = torch.linalg.svdvals(centred)
    return math.exp(float(torch.special.entr(values / values.sum()).sum()))


def view_alignment(features: Tensor) -> float:
    """Mean distance of two views of a sample over the mean distance of views of different samples.

    Euclidean. 0 where augmentation changes no feature, 1 where the views of a sample lie as far apart as samples do.
    Being a ratio, it does not change with the features' scale.

    Args:
        features: (B, V, F).

    Returns:
        At least 0; NaN for less than two samples or views, for features that are all the same, or not all finite.

    Raises:
        ValueError: If the shape does not fit.

    >>> view_alignment(torch.tensor([[[0.0], [1.0]], [[4.0], [5.0]]]))
    0.25
    """
    if features.ndim != 3:
        raise ValueError(f"features must be (B, V, F), got {tuple(features.shape)}")
    samples, views, _ = features.shape
    if samples < 2 or views < 2:
        return math.nan
    rows = in_widest_dtype(features.cpu()).flatten(0, 1)
    distances = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist")
    sample = torch.arange(samples).repeat_interleave(views)
    same = sample[:, None] == sample
    within = distances[same].sum() / (samples * views * (views - 1))  # each row's distance to itself is 0
    return float(within / distances[~same].mean())
