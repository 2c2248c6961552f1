"""The authors' numbers, from the CSV files beside this module."""

import csv
from functools import cache
from pathlib import Path

from rnc_lightning.report.names import LINEAR_PROBE

_FOLDER = Path(__file__).parent / "published"
Key = tuple[str, str, str, str]  # data set, row name, scheme, metric


@cache
def regression_losses() -> dict[Key, float]:
    """The regression table: heads alone and on RnC."""
    rows = _rows("regression_losses")
    return {(row["dataset"], row["method"], row["scheme"], row["metric"]): float(row["value"]) for row in rows}


@cache
def _others() -> dict[Key, float]:
    """Other representations (their head is L1), and RnC(L1) under other schemes."""
    found = {}
    for row in _rows("competing_methods"):
        for name in (row["method"], f"{row['method']}_l1"):
            found[row["dataset"], name, row["scheme"], row["metric"]] = float(row["value"])
    for row in _rows("ablations"):
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


def published_rows(dataset: str) -> list[tuple[str, str, str]]:
    """Method, head and scheme of each row that the authors' regression table has for a data set.

    >>> published_rows("agedb")[:2]
    [('l1', 'l1', 'end_to_end'), ('rnc', 'l1', 'linear_probe')]
    """
    names = dict.fromkeys((name, scheme) for data, name, scheme, _ in regression_losses() if data == dataset)
    split = [(name.removeprefix("rnc_"), scheme) for name, scheme in names]
    return [("rnc" if scheme == LINEAR_PROBE else head, head, scheme) for head, scheme in split]


def _rows(table: str) -> list[dict[str, str]]:
    with (_FOLDER / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
