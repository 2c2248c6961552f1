"""How well targets can be read from features: scikit-learn's ridge regression and nearest neighbours.

Each is fitted to the features of some samples and measured on those of others. They say early what the regressor of a
later stage can hope for; neither takes its place.
"""

import numpy as np
import torch
from torch import Tensor

from rnc_lightning.metrics.angular_error import angular_error

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
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y, x_new = (_array(part) for part in (train_features, train_targets, features))
    # A feature that is constant but for rounding would be blown up by its standardisation.
    varies = x.std(axis=0) > torch.finfo(train_features.dtype).eps * np.abs(x).max(axis=0)
    ridge = make_pipeline(StandardScaler(), RidgeCV(alphas=np.array(PENALTIES) * len(x)))
    model = TransformedTargetRegressor(ridge, transformer=StandardScaler(), check_inverse=False)
    with np.errstate(invalid="ignore"):  # a single sample leaves none to choose the penalty by
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
