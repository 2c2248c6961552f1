"""Feature ordinality: whether the order of feature distances follows the order of label distances.

Used in the paper's Table 1, which does not say which pairs it compares. Here, one correlation is computed per anchor
and averaged over anchors.
"""

from typing import Any

import numpy as np
import torch
from scipy.stats import kendalltau, rankdata
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.precision import at_least_float32, widest_dtype
from rnc_lightning.targets.distances import TargetDistance, resolve_target_distance
from rnc_lightning.targets.missing import has_all_labels

_CHUNK = 256  # anchors at a time; limits memory to a few arrays of 256 x n


def feature_ordinality(
    features: Tensor,
    targets: Tensor,
    target_distance: str | TargetDistance = "l1",
    max_anchors: int | None = 2048,
) -> dict[str, float]:
    """Rank correlation of feature similarity with label similarity, per anchor, averaged over anchors.

    For each anchor i, `-||z_i - z_j||` is correlated with `-d(y_i, y_j)` over all j other than i. Distances are float64
    and computed from differences (no matrix product), so that equal labels and equal features tie exactly. Spearman
    uses mean ranks for ties, Kendall is tau-b.

    An anchor has no correlation, and is excluded from the average, if all its label distances or all its feature
    distances are equal. The result is NaN if no anchor remains, as with collapsed features or fewer than three samples,
    or if a feature is NaN. Samples with a label that is NaN, which is missing, are ignored.

    Args:
        features: (n, F).
        targets: (n,) or (n, D).
        target_distance: A name that `rnc_lightning.targets.distances` knows, or a function of float64 targets (m, D)
            and (n, D) that returns distances (m, n). By default L1, summed over the dimensions.
        max_anchors: Largest number of anchors, evenly spaced in the given order (each is compared with all n samples);
            None for all samples. Time grows with anchors * n * F.

    Returns:
        `{"spearman": ..., "kendall": ...}`, each in [-1, 1] or NaN.

    Raises:
        ValueError: If the shapes do not match, `max_anchors` is below 1, or the distance is unknown.

    Example:
        >>> ages = torch.tensor([20.0, 30.0, 45.0, 70.0])
        >>> feature_ordinality(2 * ages[:, None], ages)
        {'spearman': 1.0, 'kendall': 1.0}
    """
    if max_anchors is not None:
        check_whole_number("max_anchors", max_anchors, least=1)
    _check_shapes(features, targets)
    z = features.detach().cpu().double()
    y = targets.detach().cpu().double()
    y = y if y.ndim == 2 else y[:, None]
    labelled = has_all_labels(y)
    z, y = z[labelled], y[labelled]
    distance = resolve_target_distance(target_distance)
    anchors = _choose_anchors(len(z), max_anchors)
    spearman, kendall = np.full(len(anchors), np.nan), np.full(len(anchors), np.nan)
    if len(z) > 2:
        for start in range(0, len(anchors), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = anchors[part]
            exact = torch.cdist(z[rows], z, compute_mode="donot_use_mm_for_euclid_dist")
            feature_rows = _without_self(exact.numpy(), rows)
            target_rows = _without_self(distance(y[rows], y).numpy(), rows)
            spearman[part] = _spearman_rows(feature_rows, target_rows)
            kendall[part] = [kendalltau(f, d).statistic for f, d in zip(feature_rows, target_rows, strict=True)]
    return {"spearman": _mean_of_defined(spearman), "kendall": _mean_of_defined(kendall)}


class FeatureOrdinality(Metric):
    """`feature_ordinality` over all batches and processes.

    Keeps every feature and target until `reset`, because the pairs span the whole epoch: n * F numbers.

    Args:
        target_distance: See `feature_ordinality`.
        max_anchors: See `feature_ordinality`.
        kwargs: Passed on to `torchmetrics.Metric`.

    Example:
        >>> metric = FeatureOrdinality()
        >>> metric.update(torch.tensor([[1.0], [2.0]]), torch.tensor([1.0, 2.0]))
        >>> metric.update(torch.tensor([[8.0]]), torch.tensor([3.0]))
        >>> metric.compute()
        {'spearman': tensor(1., dtype=torch.float64), 'kendall': tensor(1., dtype=torch.float64)}
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False

    features: list[Tensor]
    targets: list[Tensor]
    total: Tensor

    def __init__(
        self, target_distance: str | TargetDistance = "l1", max_anchors: int | None = 2048, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if max_anchors is not None:
            check_whole_number("max_anchors", max_anchors, least=1)
        self.target_distance = resolve_target_distance(target_distance)
        self.max_anchors = max_anchors
        # Stored flat, because torchmetrics gives a process without samples an empty vector, which must concatenate.
        self.add_state("features", [], dist_reduce_fx="cat")
        self.add_state("targets", [], dist_reduce_fx="cat")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, features: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            features: (B, F).
            targets: (B,) or (B, D).

        Raises:
            ValueError: If the shapes do not match.
        """
        _check_shapes(features, targets)
        self.features.append(at_least_float32(features.detach()).flatten())
        self.targets.append(at_least_float32(targets.detach()).flatten())
        self.total = self.total + len(features)

    def compute(self) -> dict[str, Tensor]:
        """Both correlations as scalars; NaN without samples."""
        n = int(self.total)
        values = {"spearman": float("nan"), "kendall": float("nan")}
        if n > 0:
            features = dim_zero_cat(self.features).reshape(n, -1)
            targets = dim_zero_cat(self.targets).reshape(n, -1)
            values = feature_ordinality(features, targets, self.target_distance, self.max_anchors)
        dtype = widest_dtype(self.device)
        return {name: torch.tensor(value, dtype=dtype, device=self.device) for name, value in values.items()}


def _spearman_rows(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Spearman's rho of each row of `a` (m, n) with the same row of `b`; NaN where a row is constant."""
    ranks_a, ranks_b = (rankdata(rows, axis=1) - (rows.shape[1] + 1) / 2 for rows in (a, b))
    covariance = (ranks_a * ranks_b).sum(axis=1)
    # Centred mean ranks are multiples of 1/2, so the variance of a constant row is exactly zero.
    scale = np.sqrt((ranks_a**2).sum(axis=1) * (ranks_b**2).sum(axis=1))
    rho = np.divide(covariance, scale, out=np.full_like(scale, np.nan), where=scale != 0)
    return np.clip(rho, -1, 1)


def _choose_anchors(n: int, max_anchors: int | None) -> np.ndarray:
    if max_anchors is None or n <= max_anchors:
        return np.arange(n)
    return np.linspace(0, n - 1, max_anchors).round().astype(np.int64)


def _without_self(rows: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """Remove the anchor itself from each row of (m, n)."""
    columns = np.arange(rows.shape[1] - 1)
    return np.take_along_axis(rows, columns + (columns >= anchors[:, None]), axis=1)


def _mean_of_defined(values: np.ndarray) -> float:
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _check_shapes(features: Tensor, targets: Tensor) -> None:
    if features.ndim != 2 or targets.ndim not in (1, 2) or len(features) != len(targets):
        raise ValueError(
            "features must be (n, F) and targets (n,) or (n, D) with the same n, "
            f"got {tuple(features.shape)} and {tuple(targets.shape)}"
        )
