"""How well targets can be read from features: a ridge regression and the nearest neighbours, both in closed form.

Each is fitted to the features of some samples and measured on those of others. They say early what the regressor of a
later stage can hope for; neither takes its place.
"""

import torch
from torch import Tensor

from rnc_lightning.metrics.angular_error import angular_error
from rnc_lightning.numerics.precision import in_widest_dtype

PENALTIES = tuple(10.0**power for power in range(-6, 3))  # times the number of samples fitted to


def ridge_error(
    train_features: Tensor, train_targets: Tensor, features: Tensor, targets: Tensor, angular_unit: str | None = None
) -> float:
    """Error of a linear map from features to targets with a penalty on its weights.

    Features and targets are standardised by the mean and the standard deviation of those fitted to. Of `PENALTIES`,
    that one is taken which has the least squared leave-one-out error on them, over all target dimensions together.

    Args:
        train_features: (m, F), fitted to.
        train_targets: (m, D).
        features: (n, F), measured on.
        targets: (n, D).
        angular_unit: "radian" or "degree" where targets are (pitch, yaw) in that unit.

    Returns:
        The mean absolute error in the targets' units, averaged over dimensions; for an `angular_unit` the mean angle
        in degrees. NaN where a feature or target is not finite.

    Raises:
        ValueError: If shapes do not fit, or a part holds no samples.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> round(ridge_error(x, 3 * x + 1, x + 10, 3 * x + 31), 3)
    0.0
    """
    _check(train_features, train_targets, features, targets)
    if not _finite(train_features, train_targets, features, targets):
        return float("nan")
    inputs, outputs = _Scale(train_features), _Scale(train_targets)
    x, y = inputs.apply(train_features), outputs.apply(train_targets)
    left, scales, right = torch.linalg.svd(x, full_matrices=False)
    rotated = left.T @ y
    best, weights = float("inf"), torch.zeros(x.shape[1], y.shape[1], dtype=x.dtype)
    for penalty in PENALTIES:
        ridge = scales**2 + penalty * len(x)
        fitted = left @ ((scales**2 / ridge)[:, None] * rotated)
        # Each sample's own share in its fitted value, that of the mean with it.
        leverage = (left**2 @ (scales**2 / ridge) + 1 / len(x)).clamp(max=1 - 1e-12)
        error = float((((y - fitted) / (1 - leverage)[:, None]) ** 2).mean())
        if error < best:
            best, weights = error, right.T @ ((scales / ridge)[:, None] * rotated)
    return _error(outputs.undo(inputs.apply(features) @ weights), targets, angular_unit)


def neighbours_error(
    train_features: Tensor,
    train_targets: Tensor,
    features: Tensor,
    targets: Tensor,
    neighbours: int = 10,
    angular_unit: str | None = None,
) -> float:
    """Error of the mean target of the nearest samples, by the Euclidean distance of features as they are.

    Args:
        train_features: (m, F), among which neighbours are looked for.
        train_targets: (m, D).
        features: (n, F), measured on.
        targets: (n, D).
        neighbours: How many; all where there are fewer.
        angular_unit: "radian" or "degree" where targets are (pitch, yaw) in that unit.

    Returns:
        As of `ridge_error`.

    Raises:
        ValueError: If shapes do not fit, a part holds no samples, or `neighbours` is below 1.

    >>> x = torch.tensor([[0.0], [1.0], [7.0]])
    >>> neighbours_error(x, x, torch.tensor([[0.4]]), torch.tensor([[0.0]]), neighbours=2)
    0.5
    """
    _check(train_features, train_targets, features, targets)
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    if not _finite(train_features, train_targets, features, targets):
        return float("nan")
    near, far = _wide(train_features), _wide(features)
    distances = torch.cdist(far, near, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = distances.topk(min(neighbours, len(near)), largest=False).indices
    return _error(_wide(train_targets)[nearest].mean(dim=1), targets, angular_unit)


class _Scale:
    """Mean and standard deviation of columns; one that is constant but for rounding becomes 0."""

    def __init__(self, values: Tensor) -> None:
        wide = _wide(values)
        self.mean = wide[0] + (wide - wide[0]).mean(dim=0)  # exact where all are the same
        deviation = (wide - self.mean).square().mean(dim=0).sqrt()
        self.constant = deviation <= torch.finfo(values.dtype).eps * wide.abs().amax(dim=0)
        self.deviation = torch.where(self.constant, 1.0, deviation)

    def apply(self, values: Tensor) -> Tensor:
        return ((_wide(values) - self.mean) / self.deviation).masked_fill(self.constant, 0.0)

    def undo(self, values: Tensor) -> Tensor:
        return values * self.deviation + self.mean


def _error(predictions: Tensor, targets: Tensor, angular_unit: str | None) -> float:
    if angular_unit is not None:
        return float(angular_error(predictions, _wide(targets), angular_unit))  # type: ignore[arg-type]
    return float((predictions - _wide(targets)).abs().mean())


def _wide(x: Tensor) -> Tensor:
    return in_widest_dtype(x.cpu())


def _finite(*tensors: Tensor) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def _check(train_features: Tensor, train_targets: Tensor, features: Tensor, targets: Tensor) -> None:
    fits = all(x.ndim == 2 for x in (train_features, train_targets, features, targets))
    fits = fits and len(train_features) == len(train_targets) and len(features) == len(targets)
    fits = fits and train_features.shape[1] == features.shape[1] and train_targets.shape[1] == targets.shape[1]
    if not fits:
        shapes = ", ".join(str(tuple(x.shape)) for x in (train_features, train_targets, features, targets))
        raise ValueError(f"features must be (m, F) and (n, F), targets (m, D) and (n, D), got {shapes}")
    if not len(train_features) or not len(features):
        raise ValueError("there must be at least one sample to fit to and one to measure on")
