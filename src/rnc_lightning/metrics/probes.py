"""How well targets can be predicted from features by scikit-learn's ridge regression and nearest neighbours.

Each probe is fitted to the features of some samples and measured on others. The errors give an early estimate of the
regressor in a later stage, but do not replace it. Samples with a missing label (NaN) are ignored.
"""

import numpy as np
import torch
from torch import Tensor

from rnc_lightning.metrics.angular_error import angular_error
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.targets.missing import has_all_labels

PENALTIES = tuple(10.0**power for power in range(-6, 3))  # times the number of training samples


def ridge_error(
    train_features: Tensor, train_targets: Tensor, features: Tensor, targets: Tensor, angular_unit: str | None = None
) -> float:
    """Error of a linear map from features to targets with a penalty on its weights.

    Features and targets are standardised by the mean and standard deviation of the training samples. The penalty is the
    one of `PENALTIES` with the smallest squared leave-one-out error on them, over all target dimensions together.

    Args:
        train_features: (m, F), to fit.
        train_targets: (m, D).
        features: (n, F), to measure the error on.
        targets: (n, D).
        angular_unit: "radian" or "degree" if targets are (pitch, yaw) in that unit.

    Returns:
        The mean absolute error in the targets' units, averaged over dimensions; with an `angular_unit` the mean angle
        in degrees. NaN if a feature or target is infinite, a feature is NaN, or no sample has all its labels.

    Raises:
        ValueError: If shapes do not match, or there are no samples to fit or to measure.

    >>> x = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    >>> round(ridge_error(x, 3 * x + 1, x + 10, 3 * x + 31), 3)
    0.0
    """
    _check(train_features, train_targets, features, targets)
    train_features, train_targets = _labelled(train_features, train_targets)
    features, targets = _labelled(features, targets)
    if not len(train_targets) or not len(targets) or not _finite(train_features, train_targets, features, targets):
        return float("nan")
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, x_new = (_array(part) for part in (train_features, train_targets, features))
    # Standardisation would amplify the rounding errors of a constant feature.
    varies = x.std(axis=0) > torch.finfo(train_features.dtype).eps * np.abs(x).max(axis=0)
    ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=np.array(PENALTIES) * len(x)))
    model = TransformedTargetRegressor(ridge, transformer=StandardScaler(), check_inverse=False)
    with np.errstate(invalid="ignore"):  # a single sample has no leave-one-out error
        predictions = model.fit(x * varies, y).predict(x_new * varies)
    return _error(predictions, targets, angular_unit)


def neighbours_error(
    train_features: Tensor,
    train_targets: Tensor,
    features: Tensor,
    targets: Tensor,
    neighbours: int = 10,
    angular_unit: str | None = None,
) -> float:
    """Error of the mean target of the nearest neighbours, by the Euclidean distance of the unscaled features.

    Args:
        train_features: (m, F), searched for neighbours.
        train_targets: (m, D).
        features: (n, F), to measure the error on.
        targets: (n, D).
        neighbours: Number of neighbours; all training samples if there are fewer.
        angular_unit: "radian" or "degree" if targets are (pitch, yaw) in that unit.

    Returns:
        As for `ridge_error`.

    Raises:
        ValueError: If shapes do not match, there are no samples to fit or to measure, or `neighbours` is below 1.

    >>> x = torch.tensor([[0.0], [1.0], [7.0]])
    >>> neighbours_error(x, x, torch.tensor([[0.4]]), torch.tensor([[0.0]]), neighbours=2)
    0.5
    """
    _check(train_features, train_targets, features, targets)
    check_whole_number("neighbours", neighbours, least=1)
    train_features, train_targets = _labelled(train_features, train_targets)
    features, targets = _labelled(features, targets)
    if not len(train_targets) or not len(targets) or not _finite(train_features, train_targets, features, targets):
        return float("nan")
    from sklearn.neighbors import KNeighborsRegressor

    x, y, x_new = (_array(part) for part in (train_features, train_targets, features))
    model = KNeighborsRegressor(min(neighbours, len(x)), algorithm="brute").fit(x, y)
    return _error(model.predict(x_new), targets, angular_unit)


def _error(predictions: np.ndarray, targets: Tensor, angular_unit: str | None) -> float:
    truth = torch.from_numpy(_array(targets))
    predicted = torch.from_numpy(predictions).reshape(truth.shape)
    if angular_unit is not None:
        return float(angular_error(predicted, truth, angular_unit))  # type: ignore[arg-type]
    return float((predicted - truth).abs().mean())


def _array(x: Tensor) -> np.ndarray:
    return x.detach().cpu().double().numpy()


def _labelled(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """The samples that have all their labels."""
    known = has_all_labels(targets)
    return features[known], targets[known]


def _finite(*tensors: Tensor) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def _check(train_features: Tensor, train_targets: Tensor, features: Tensor, targets: Tensor) -> None:
    tensors = train_features, train_targets, features, targets
    if (
        any(x.ndim != 2 for x in tensors)
        or (len(train_features), len(features)) != (len(train_targets), len(targets))
        or (train_features.shape[1], train_targets.shape[1]) != (features.shape[1], targets.shape[1])
    ):
        shapes = ", ".join(str(tuple(x.shape)) for x in tensors)
        raise ValueError(f"features must be (m, F) and (n, F), targets (m, D) and (n, D), got {shapes}")
    if not len(train_features) or not len(features):
        raise ValueError("there must be at least one sample to fit and one to measure")
