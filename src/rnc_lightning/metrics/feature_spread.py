"""The spread of features: over directions, and between samples compared with views of one sample."""

import math

import torch
from torch import Tensor

from rnc_lightning.numerics.precision import in_widest_dtype


def effective_rank(features: Tensor) -> float:
    """Number of directions over which features spread: exp of the entropy of their normalised singular values.

    Roy and Vetterli, "The effective rank: a measure of effective dimensionality" (EUSIPCO 2007), of the centred
    features. It is F if the spread is equal in all directions and 1 if the features are on a line.

    Args:
        features: (n, F).

    Returns:
        Between 1 and min(n - 1, F); 0 if all features are equal, NaN if one is not finite or there are none.

    Raises:
        ValueError: If the features have another shape.

    >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
    2.0
    """
    if features.ndim != 2:
        raise ValueError(f"features must be (n, F), got {tuple(features.shape)}")
    if not features.numel() or not torch.isfinite(features).all():
        return math.nan
    wide = in_widest_dtype(features.cpu())
    centred = wide - wide[0]  # exactly 0 if all features are equal
    centred = centred - centred.mean(dim=0)
    # A spread below the rounding error of the features' type is noise, which the entropy would count.
    if float(centred.abs().max()) <= torch.finfo(features.dtype).eps * float(wide.abs().max()):
        return 0.0
    values = torch.linalg.svdvals(centred)
    return math.exp(float(torch.special.entr(values / values.sum()).sum()))


def view_alignment(features: Tensor) -> float:
    """Mean distance between views of the same sample, divided by that between views of different samples.

    Distances are Euclidean. The ratio is 0 if augmentation changes no feature and 1 if views of a sample are as far
    apart as different samples. It does not depend on the scale of the features.

    Args:
        features: (B, V, F).

    Returns:
        At least 0; NaN for fewer than two samples or views, or if features are all equal or not all finite.

    Raises:
        ValueError: If the features have another shape.

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
