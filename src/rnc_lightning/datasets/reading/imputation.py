"""Missing inputs replaced by the mean or the median of the training rows."""

from collections.abc import Sequence

import numpy as np

from rnc_lightning.system.errors import UserError

METHODS = ("mean", "median")


def fit_fill(training: np.ndarray, method: str, names: Sequence[str], table: str) -> np.ndarray:
    """The value (F,) that replaces a missing input.

    Args:
        training: Training rows (M, F), NaN where a value is missing.
        method: `mean` or `median` of the values that are there.
        names: F names of the columns.
        table: The table's name, for messages.

    Raises:
        UserError: If a column has no value.

    >>> fit_fill(np.array([[1.0, 5.0], [np.nan, 6.0], [2.0, 9.0]]), "median", ["a", "b"], "my.csv").tolist()
    [1.5, 6.0]
    """
    if empty := [name for name, column in zip(names, training.T, strict=True) if np.isnan(column).all()]:
        raise UserError(
            f"{table}: the input {', '.join(empty)} has no value in any training row: leave it out with "
            f"'data.exclude=[{','.join(empty)}]'"
        )
    average = np.nanmean if method == "mean" else np.nanmedian
    return np.asarray(average(training, axis=0), dtype=np.float64)


def filled(values: np.ndarray, fill: np.ndarray) -> np.ndarray:
    """Values (N, F) with each NaN replaced by its column's value in `fill` (F,)."""
    return np.where(np.isnan(values), fill, values)
