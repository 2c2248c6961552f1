"""The authors' numbers, from the CSV files in `published/`."""

import csv
from functools import cache
from pathlib import Path

import pandas as pd

from rnc_lightning.reports.names import END_TO_END, LINEAR_PROBE

_FOLDER = Path(__file__).parent / "published"
Key = tuple[str, str, str, str]  # data set, row name, scheme, metric
PublishedRow = tuple[str, str, str, tuple[str, ...]]  # method, head, scheme, what was added to the regressor

# Names of the two methods in the files of the studies -> their labels.
PUBLISHED_METHODS = {"l1": "L1", "rnc_l1": "RnC(L1)"}

# What the competing regression methods add to the head L1; the other ones are heads.
_ADDED = {"lds_fds": ("lds", "fds"), "ranksim": ("ranksim",), "ordinal_entropy": ("ordinal_entropy",)}


@cache
def regression_losses() -> dict[Key, float]:
    """Return the table of regression losses: heads alone and on RnC."""
    rows = read_rows("regression_losses")
    return {(row["dataset"], row["method"], row["scheme"], row["metric"]): float(row["value"]) for row in rows}


@cache
def _other_methods() -> dict[Key, float]:
    """Other representations (their head is L1), and RnC(L1) under other schemes."""
    values = {}
    for row in read_rows("competing_methods"):
        for name in (row["method"], f"{row['method']}_l1"):
            values[row["dataset"], name, row["scheme"], row["metric"]] = float(row["value"])
    for row in read_rows("ablations"):
        if row["factor"] == "scheme":
            values[row["dataset"], "rnc_l1", row["level"], row["metric"]] = float(row["value"])
    return values


def published_value(dataset: str, name: str, scheme: str, metric: str) -> float | None:
    """Return what the authors report for a row, or None.

    >>> published_value("agedb", "rnc_l1", "linear_probe", "mae")
    6.14
    >>> published_value("agedb", "simclr_l1", "fine_tune", "mae")
    6.57
    """
    key = (dataset, name, scheme, metric)
    return regression_losses().get(key, _other_methods().get(key))


def published_rows(dataset: str) -> list[PublishedRow]:
    """Return the rows of the authors' table of regression losses for a data set; none if they did not use it.

    >>> published_rows("agedb")[:2]
    [('l1', 'l1', 'end_to_end', ()), ('rnc', 'l1', 'linear_probe', ())]
    """
    names = dict.fromkeys((name, scheme) for data, name, scheme, _ in regression_losses() if data == dataset)
    split = [(name.removeprefix("rnc_"), scheme) for name, scheme in names]
    return [("rnc" if scheme == LINEAR_PROBE else head, head, scheme, ()) for head, scheme in split]


def competing_rows(dataset: str) -> list[PublishedRow]:
    """Return the rows of the authors' table of competing methods for a data set.

    >>> competing_rows("skyfinder")[6:9]
    [('l1', 'l1', 'end_to_end', ()), ('lde', 'lde', 'end_to_end', ()), ('ranksim', 'l1', 'end_to_end', ('ranksim',))]
    """
    rows = [row for row in read_rows("competing_methods") if row["dataset"] == dataset]
    return [_competing_row(row["method"], row["scheme"]) for row in rows]


def _competing_row(name: str, scheme: str) -> PublishedRow:
    if scheme != END_TO_END:
        return name.removesuffix("_l1"), "l1", scheme, ()
    added = _ADDED.get(name, ())
    return name, "l1" if added else name, scheme, added


def read_rows(name: str) -> list[dict[str, str]]:
    """Read the rows of one of the CSV files.

    >>> read_rows("corruptions")[0]["value"]
    '6.63'
    """
    with (_FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_published(name: str) -> pd.DataFrame:
    """Read one of the tables; `value` and numeric levels are numbers."""
    frame = pd.DataFrame(read_rows(name))
    frame["value"] = frame["value"].astype(float)
    for column in ("severity", "train_size"):
        if column in frame:
            frame[column] = frame[column].astype(int)
    return frame


def find_value(frame: pd.DataFrame, metric: str = "mae", **levels: object) -> float:
    """Return the only value with this metric and these levels.

    Raises:
        ValueError: For none or several values.
    """
    rows = frame[frame["metric"] == metric]
    for column, level in levels.items():
        rows = rows[rows[column] == level]
    (value,) = rows["value"].tolist()
    return float(value)


def find_pair(frame: pd.DataFrame, metric: str = "mae", **levels: object) -> tuple[float, float]:
    """Return the values of L1 and of RnC(L1)."""
    l1, rnc = (find_value(frame, metric, method=method, **levels) for method in PUBLISHED_METHODS)
    return l1, rnc


def published_lines(frame: pd.DataFrame, column: str) -> dict[str, dict[float, list[float]]]:
    """Return label of the method -> level -> value, for a plot over the levels in a column."""
    levels = sorted(frame[column].unique().tolist())
    pairs = {level: find_pair(frame, **{column: level}) for level in levels}
    return {label: {level: [pairs[level][i]] for level in levels} for i, label in enumerate(PUBLISHED_METHODS.values())}


def change_text(before: float, after: float, where: str, unit: str = "years") -> str:
    """Format a published reduction of an error, in percent.

    >>> change_text(10.0, 9.0, "AgeDB")
    '+10.0 % (AgeDB: 10.00 to 9.00 years)'
    """
    return f"{100 * (before - after) / before:+.1f} % ({where}: {before:.2f} to {after:.2f} {unit})"
