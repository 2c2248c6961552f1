"""Means, standard deviations and paired differences over the runs of a study, as table cells."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from rnc_lightning.reports.statistics import Gain, spread

_MOST_DECIMALS = 8


def by_seed(frame: pd.DataFrame, metric: str, **where: Any) -> dict[int, float]:
    """Seed -> metric of the rows whose columns have the values `where`; rows of the same seed are averaged.

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
    """Format mean and standard deviation over seeds; a dash if there are no values.

    >>> mean_text({0: 3.0, 1: 4.0}), mean_text({0: 3.0}), mean_text({}), mean_text({0: 1.234e-5})
    ('3.50 ± 0.71', '3.00', '-', '0.0000123')
    """
    if not values:
        return "-"
    mean, deviation = spread(list(values.values()))
    if mean and round(abs(mean), digits) == 0:
        digits = decimals_of(mean)
    return number(mean, digits) + ("" if deviation is None else f" ± {number(deviation, digits)}")


def gain_text(gain: Gain | None, digits: int = 2) -> str:
    """Format a paired difference, with its 95 percent interval if there are two pairs; a dash if there is no gain."""
    if gain is None:
        return "-"
    text = number(gain.mean, digits, signed=True)
    if gain.low is None or gain.high is None:
        return text
    return f"{text} [{number(gain.low, digits, signed=True)}, {number(gain.high, digits, signed=True)}]"


def decimals_of(value: float) -> int:
    """How many decimals show three digits of a number that is not 0, at least two.

    >>> decimals_of(6.143), decimals_of(0.05), decimals_of(1.2e-5)
    (2, 4, 7)
    """
    return max(2, 2 - math.floor(math.log10(abs(value))))


def number(value: float, digits: int, signed: bool = False) -> str:
    """Format a rounded number without a negative zero; very large ones, and more than 8 decimals, with a power of ten.

    >>> number(6.143, 2), number(-0.001, 2, signed=True), number(0.25, 2, signed=True), number(1.234e-9, 11)
    ('6.14', '0.00', '+0.25', '1.23e-09')
    """
    if abs(value) >= 1e7 or (digits > _MOST_DECIMALS and value):
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f}"
    return f"+{text}" if signed and value > 0 else text
