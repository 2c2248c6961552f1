"""The authors' numbers, from the CSV files beside this module."""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pandas as pd

from rnc_lightning.reports.names import END_TO_END, LINEAR_PROBE

_FOLDER = Path(__file__).parent / "published"
Key = tuple[str, str, str, str]  # data set, row name, scheme, metric
PublishedRow = tuple[str, str, str, tuple[str, ...]]  # method, head, scheme, what was added to the regressor

# What the competing regression methods add to the head L1; the others there are heads.
_ADDED = {"lds_fds": ("lds", "fds"), "ranksim": ("ranksim",), "ordinal_entropy": ("ordinal_entropy",)}


@cache
def regression_losses() -> dict[Key, float]:
    """The regression table: heads alone and on RnC."""
    rows = table("regression_losses")
    return {(row["dataset"], row["method"], row["scheme"], row["metric"]): float(row["value"]) for row in rows}


@cache
def _others() -> dict[Key, float]:
    """Other representations (their head is L1), and RnC(L1) under other schemes."""
    found = {}
    for row in table("competing_methods"):
        for name in (row["method"], f"{row['method']}_l1"):
            found[row["dataset"], name, row["scheme"], row["metric"]] = float(row["value"])
    for row in table("ablations"):
        if row["factor"] == "scheme":
            found[row["dataset"], "rnc_l1", row["level"], row["metric"]] = float(row["value"])
    return found


def published_value(dataset: str, name: str, scheme: str, metric: str) -> float | None:
    """What the authors report for a row, or None.

    >>> published_value("agedb", "rnc_l1", "linear_probe", "mae")
    6.14
    >>> published_value("agedb", "simclr_l1", "fine_tune", "mae")
    6.57
    """
    key = (dataset, name, scheme, metric)
    return regression_losses().get(key, _others().get(key))


def published_rows(dataset: str) -> list[PublishedRow]:
    """Each row that the authors' regression table has for a data set; none where they did not work on it.

    >>> published_rows("agedb")[:2]
    [('l1', 'l1', 'end_to_end', ()), ('rnc', 'l1', 'linear_probe', ())]
    """
    names = dict.fromkeys((name, scheme) for data, name, scheme, _ in regression_losses() if data == dataset)
    split = [(name.removeprefix("rnc_"), scheme) for name, scheme in names]
    return [("rnc" if scheme == LINEAR_PROBE else head, head, scheme, ()) for head, scheme in split]


def competing_rows(dataset: str) -> list[PublishedRow]:
    """Each row that the authors' table of competing methods has for a data set.

    >>> competing_rows("skyfinder")[6:9]
    [('l1', 'l1', 'end_to_end', ()), ('lde', 'lde', 'end_to_end', ()), ('ranksim', 'l1', 'end_to_end', ('ranksim',))]
    """
    rows = [row for row in table("competing_methods") if row["dataset"] == dataset]
    return [_competing_row(row["method"], row["scheme"]) for row in rows]


def _competing_row(name: str, scheme: str) -> PublishedRow:
    if scheme != END_TO_END:
        return name.removesuffix("_l1"), "l1", scheme, ()
    added = _ADDED.get(name, ())
    return name, "l1" if added else name, scheme, added


def table(name: str) -> list[dict[str, str]]:
    """The lines of one of the CSV files.

    >>> table("corruptions")[0]["value"]
    '6.63'
    """
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


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
