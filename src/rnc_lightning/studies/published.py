"""The authors' numbers as a study shows them."""

from collections.abc import Sequence

import pandas as pd

from rnc_lightning.report.published import table


def published(name: str) -> pd.DataFrame:
    """One of their tables, `value` as a number and levels that are numbers as such."""
    frame = pd.DataFrame(table(name))
    frame["value"] = frame["value"].astype(float)
    for column in ("severity", "train_size"):
        if column in frame:
            frame[column] = frame[column].astype(int)
    return frame


def value(frame: pd.DataFrame, metric: str = "mae", **where: object) -> float:
    """The one value with this metric and these levels."""
    chosen = frame[frame["metric"] == metric]
    for column, wanted in where.items():
        chosen = chosen[chosen[column] == wanted]
    (found,) = chosen["value"].tolist()
    return float(found)


def change(before: float, after: float, where: str, unit: str = "years") -> str:
    """A published effect on an error, in percent by which it is lower.

    >>> change(10.0, 9.0, "AgeDB")
    '+10.0 % (AgeDB: 10.00 to 9.00 years)'
    """
    return f"{100 * (before - after) / before:+.1f} % ({where}: {before:.2f} to {after:.2f} {unit})"


def names(columns: Sequence[str]) -> list[str]:
    """The authors' row names as they are written elsewhere here."""
    spelled = {"l1": "L1", "rnc_l1": "RnC(L1)", "negative_l1": "negative L1", "negative_l2": "negative L2"}
    return [spelled.get(column, column.replace("_", " ")) for column in columns]
