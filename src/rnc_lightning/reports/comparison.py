"""Means, spreads and paired differences of a study's rows, as cells of a table."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rnc_lightning.reports import text as layout
from rnc_lightning.reports.statistics import Gain, spread


def by_seed(frame: pd.DataFrame, metric: str, **where: Any) -> dict[int, float]:
    """A metric by seed, of the rows with these values; several rows of a seed are averaged.

    >>> frame = pd.DataFrame({"method": ["l1", "l1", "rnc"], "seed": [0, 1, 0], "mae": [3.0, 4.0, 2.0]})
    >>> by_seed(frame, "mae", method="l1")
    {0: 3.0, 1: 4.0}
    """
    chosen = frame
    for column, value in where.items():
        chosen = chosen[chosen[column] == value]
    means = chosen.dropna(subset=[metric]).groupby("seed")[metric].mean()
    return {int(seed): float(value) for seed, value in means.items()}  # type: ignore[arg-type]


def mean_text(values: Mapping[int, float], digits: int = 2) -> str:
    """Mean and standard deviation over seeds, or a dash.

    >>> mean_text({0: 3.0, 1: 4.0}), mean_text({0: 3.0}), mean_text({})
    ('3.50 ± 0.71', '3.00', '-')
    """
    if not values:
        return "-"
    mean, deviation = spread(list(values.values()))
    return f"{mean:.{digits}f}" + ("" if deviation is None else f" ± {deviation:.{digits}f}")


def gain_text(gain: Gain | None, digits: int = 2) -> str:
    """A paired difference with its 95 percent interval, or a dash."""
    return "-" if gain is None else layout.gain_text(gain, digits)
