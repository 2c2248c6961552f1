"""Reads your own table of samples, whether it lists images, signals or plain features.

A table (CSV or Parquet) has one row per sample. Some columns are targets. One may name the split of each row, and one
the group of each row (a person, a camera), so that a random split keeps each group in one part.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rnc_lightning.datasets.reading.csv_files import check_unique_columns, csv_layout
from rnc_lightning.datasets.reading.numbers import NumberFormat
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.random_split import Division
from rnc_lightning.datasets.reading.tables import (
    Table,
    find_duplicates,
    is_file,
    is_parquet,
    parquet_frame,
    read_labels,
    read_table,
)
from rnc_lightning.datasets.splits import PARTS, Inputs, Split, SplitName
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

_SPLIT_NAMES: dict[str, SplitName] = {
    "train": "train",
    **dict.fromkeys(("val", "validation", "valid", "dev"), "val"),
    "test": "test",
}


@dataclass(frozen=True)
class UserColumns:
    """Which columns of a table are targets, split and group.

    Attributes:
        target: D columns of labels.
        split: Column with train, val or test; None if the split is drawn.
        group: Column of the groups; None if there are none.
        plausible: For each target column the lowest and the highest label to accept.
        partial: Whether a row may lack some of its labels, which are NaN then.
    """

    target: Sequence[str]
    split: str | None = None
    group: str | None = None
    plausible: Mapping[str, Sequence[float]] = field(default_factory=dict)
    partial: bool = False

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target: name at least one column of the table, such as [age]")
        if twice := sorted({column for column in self.target if list(self.target).count(column) > 1}):
            raise ValueError(f"target: {', '.join(twice)} is named twice")
        if strange := [name for name in self.plausible if name not in self.target]:
            raise ValueError(f"plausible: {', '.join(strange)} is not among the targets {', '.join(self.target)}")
        for name, bounds in self.plausible.items():
            if not _is_range(bounds):
                raise ValueError(f"plausible.{name} must be two numbers, such as [0, 120], got {bounds}")

    @property
    def bounds(self) -> list[tuple[float, float]]:
        """Lowest and highest plausible label of each target column."""
        ends = [self.plausible.get(name, (-math.inf, math.inf)) for name in self.target]
        return [(float(low), float(high)) for low, high in ends]

    @property
    def required(self) -> list[str]:
        """All columns that the table must have."""
        return [*self.target, *(column for column in (self.split, self.group) if column is not None)]


@dataclass(frozen=True)
class UserRows:
    """Usable rows of a table.

    Attributes:
        table: The rows; `table.where(i)` gives file and row for messages.
        positions: N positions in the table that was read.
        names: N different names, by which a split file refers to the rows.
        targets: (N, D) float64 in label units; NaN where a partly labelled row has no label.
        parts: N values train, val or test.
    """

    table: Table
    positions: list[int]
    names: list[str]
    targets: np.ndarray
    parts: list[SplitName]
    partial: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def of(self, part: SplitName) -> list[int]:
        """The indices (0 to N - 1) of the rows in one part."""
        return [i for i, row_part in enumerate(self.parts) if row_part == part]

    def splits(self, inputs: Callable[[list[int]], Inputs]) -> dict[SplitName, Split]:
        """The three splits, one sample per row.

        Args:
            inputs: Returns the inputs for a list of row indices.
        """
        splits: dict[SplitName, Split] = {}
        for part in PARTS:
            chosen = self.of(part)
            targets = torch.tensor(self.targets[chosen], dtype=torch.float64)  # float32 cannot tell some dates apart
            splits[part] = Split(inputs(chosen), targets, [self.names[i] for i in chosen], partial=self.partial)
        return splits


def choose_division(split: Mapping[str, Any], columns: UserColumns) -> Division | None:
    """How to draw the split; None if the table has a column for it.

    Raises:
        ValueError: If the arguments contradict each other.

    >>> choose_division({"by": None, "seed": 3}, UserColumns(["age"], group="person"))
    Division(by='group', val=0.1, test=0.1, seed=3, file=None)
    """
    by, file = split.get("by"), split.get("file")
    if columns.split is not None:
        if by is not None or file is not None:
            raise ValueError(
                f"split_column={columns.split} already gives the split of each row: leave split.by and split.file null"
            )
        return None
    if by not in (None, "sample", "group"):
        raise ValueError(f"split.by must be sample or group, got {by!r}")
    if by == "group" and columns.group is None:
        raise ValueError("split.by=group needs the column of the groups, such as data.group=person")
    default = "sample" if columns.group is None else "group"
    return Division(**{**split, "by": by or default})


def read_user_table(path: Path, columns: Sequence[str], form: NumberFormat | None = None) -> Table:
    """Read the columns of a CSV or Parquet table.

    Args:
        path: The table.
        columns: Its columns.
        form: How its numbers are written; None: found out.

    Raises:
        UserError: If the file does not exist, lacks a column or has no rows.
    """
    how = "data.csv is the path of the table, relative to the current folder"
    table = read_table(path, columns, missing=how, form=form)
    if not len(table):
        raise UserError(f"{path} has no rows below its header")
    return table


def check_user_rows(
    table: Table,
    names: Sequence[str],
    good: np.ndarray,
    columns: UserColumns,
    division: Division | None,
    problems: Problems,
    what: str = "row",
    contents: Sequence[str] | None = None,
) -> UserRows:
    """Check labels, splits and groups, and say which part each usable row belongs to.

    Args:
        table: N rows.
        names: What a row is known by; a name that comes again becomes a problem.
        good: Which rows (N,) are usable so far; the others are not looked at for their name.
        columns: What the columns mean.
        division: How to draw the split; None if `columns.split` is given.
        problems: Receives the bad rows.
        what: What a name is, as in `path that occurs more than once`.
        contents: What identifies a row whose name is only its number (N); None if the names identify them.
    """
    targets, usable = read_labels(table, columns.target, problems, columns.bounds, columns.partial)
    usable &= good
    groups = table.texts(columns.group) if columns.group is not None else None
    published: list[SplitName | None] = [None] * len(table)
    if columns.split is not None:
        published = _read_split_column(table, columns.split, problems)
        usable &= [part is not None for part in published]
    elif groups is not None and division is not None and division.by == "group":
        for i in np.flatnonzero([group == "" for group in groups]).tolist():
            problems.add(f"{columns.group} missing", table.where(i))
            usable[i] = False
    usable &= ~_find_repeated(names, good, published, table, what, problems)

    chosen = np.flatnonzero(usable).tolist()
    chosen_names = [names[i] for i in chosen]
    chosen_groups = None if groups is None else [groups[i] for i in chosen]
    if division is None:
        parts = [part for i in chosen if (part := published[i]) is not None]
    else:
        chosen_contents = None if contents is None else [contents[i] for i in chosen]
        parts = _divide(division, chosen_names, chosen_groups, chosen_contents, problems)
    if chosen_groups is not None:
        _warn_of_separated_groups(table.path.name, str(columns.group), chosen_groups, parts)
    return UserRows(table.select(usable), chosen, chosen_names, targets[chosen], parts, columns.partial)


def _divide(
    division: Division, names: list[str], groups: list[str] | None, contents: list[str] | None, problems: Problems
) -> list[SplitName]:
    units = set(groups if division.by == "group" and groups is not None else names)
    if len(units) < len(PARTS) and len(problems):
        return ["train"] * len(names)  # the problems are reported instead: too few rows are left because of them
    return division.divide(names, {} if groups is None else {"group": groups}, contents)


def _read_split_column(table: Table, column: str, problems: Problems) -> list[SplitName | None]:
    texts = table.texts(column)
    parts = [_SPLIT_NAMES.get(text.lower()) for text in texts]
    for i, (text, part) in enumerate(zip(texts, parts, strict=True)):
        if part is None:
            kind = f"{column} other than train, val, test" if text else f"{column} missing"
            problems.add(kind, table.where(i), repr(text) if text else "")
    return parts


def _find_repeated(
    names: Sequence[str],
    good: np.ndarray,
    parts: Sequence[SplitName | None],
    table: Table,
    what: str,
    problems: Problems,
) -> np.ndarray:
    """Mask (N,) of the rows that repeat an earlier row's name; names in two parts are a problem of their own kind."""
    first: dict[str, int] = {}
    across = np.zeros(len(names), dtype=bool)
    for i in np.flatnonzero(good).tolist():
        j = first.setdefault(names[i], i)
        if parts[i] is not None and parts[j] is not None and parts[i] != parts[j]:
            across[i] = True
            detail = f"{names[i]}, {parts[i]}; {parts[j]} in {table.where(j)}"
            problems.add(f"{what} in two splits", table.where(i), detail)
    keys = [name if good[i] and not across[i] else "" for i, name in enumerate(names)]
    return across | find_duplicates(keys, table, what, problems)


def _warn_of_separated_groups(table: str, column: str, groups: Sequence[str], parts: Sequence[SplitName]) -> None:
    parts_of: dict[str, set[SplitName]] = {}
    for group, part in zip(groups, parts, strict=True):
        parts_of.setdefault(group, set()).add(part)
    if separated := sorted(group for group, where in parts_of.items() if group and len(where) > 1):
        shown = ", ".join(separated[:5]) + (", ..." if len(separated) > 5 else "")
        log.warning(
            "%s: %d of %d groups (column %s) occur in more than one split, %s: a model may know them from training",
            *(table, len(separated), len(parts_of), column, shown),
        )


def _is_range(bounds: object) -> bool:
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return False
    return all(isinstance(end, int | float) for end in bounds) and bounds[0] < bounds[1]


def column_names(path: Path, known: Sequence[str]) -> list[str]:
    """The names of a table's columns; a CSV column without a name is called `Unnamed: 0` by its place, as in pandas.

    Args:
        path: CSV or Parquet.
        known: Columns that the table has, used to detect the separator.

    Raises:
        UserError: If a name occurs twice.
    """
    if not is_file(path):
        read_user_table(path, known)  # raises the right error
    if is_parquet(path):
        names = list(parquet_frame(path, set()).columns)
    else:
        names = [name or f"Unnamed: {i}" for i, name in enumerate(csv_layout(path, known).names)]
    check_unique_columns(path, names, names)
    return names
