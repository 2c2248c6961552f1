"""Inputs without labels, to predict from: a folder, a single file, or a table."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, is_file
from rnc_lightning.datasets.reading.user_files import find_files
from rnc_lightning.datasets.reading.user_table import column_names, read_user_table
from rnc_lightning.datasets.splits import Inputs, Split
from rnc_lightning.system.errors import UserError


@dataclass(frozen=True)
class UserInputs:
    """Where a person's inputs lie.

    Attributes:
        path: A folder, a file, or a table.
        column: The table's column of paths; None: that which the data set's own table has, else `path`.
        root: Folder that its paths are relative to; None: that of the table.
    """

    path: Path
    column: str | None = None
    root: Path | None = None


@dataclass(frozen=True)
class Unlabelled:
    """Inputs that can be used, found before anything is predicted.

    Attributes:
        columns: A row for each prediction, with what a person knows it by.
        splits: The inputs in the order of the rows, as the data set's test has them, in one split or in several that
            are made one after the other; where several inputs belong to one row, they are a group.
    """

    columns: pd.DataFrame
    splits: Iterable[Split]


def blank_split(inputs: Inputs) -> Split:
    """Inputs as a split, with labels that nobody looks at."""
    count = len(inputs)
    return Split(inputs, torch.zeros(count, 1), [str(i) for i in range(count)])


@dataclass(frozen=True)
class UserFiles:
    """Files to predict from.

    Attributes:
        paths: N files.
        where: What a person finds each by: its path, or the table's row.
        columns: N rows that go into the predictions' table before what is predicted.
    """

    paths: list[Path]
    where: list[str]
    columns: pd.DataFrame

    def __len__(self) -> int:
        return len(self.paths)

    def without(self, bad: Mapping[int, str], kind: str, problems: Problems) -> "UserFiles":
        """The others; those that are bad, each for a reason, become problems of a kind."""
        for i, reason in sorted(bad.items()):
            beside_row = self.where[i] != str(self.paths[i])
            problems.add(kind, self.where[i], f"{self.paths[i]}: {reason}" if beside_row else reason)
        kept = [i for i in range(len(self)) if i not in bad]
        return UserFiles([self.paths[i] for i in kept], [self.where[i] for i in kept], self.columns.iloc[kept])


def list_files(inputs: UserInputs, suffixes: Sequence[str], column: str, problems: Problems) -> UserFiles:
    """The files in a folder and those below it, a single file, or those that a table lists.

    Args:
        inputs: A folder, a file with one of the suffixes, or a table (CSV or Parquet).
        suffixes: Of the files that are taken from a folder; others are passed over.
        column: The table's column of paths, where `inputs` names none.
        problems: Receives the rows without a file.

    Raises:
        UserError: If there is nothing to predict from.
    """
    path, column = inputs.path, inputs.column or column
    if path.is_dir():
        names = sorted(_below(path, suffixes))
        if not names:
            raise UserError(f"inputs={path}: no file in it, nor below it, ends in {', '.join(suffixes)}")
        return UserFiles([path / name for name in names], [str(path / name) for name in names], _named(names))
    if is_file(path) and path.suffix.lower() in suffixes:
        return UserFiles([path], [str(path)], _named([path.name]))
    table = read_whole_table(path, [column])
    if column not in table.frame.columns:
        raise UserError(
            f"inputs={path} has no column {column}, which would have the paths (input=...); its columns are "
            f"{', '.join(table.frame.columns)}"
        )
    root = path.parent if inputs.root is None else inputs.root
    _, files, good = find_files(table, column, root, problems, root_key="root")
    kept = np.flatnonzero(good).tolist()
    return UserFiles([files[i] for i in kept], [table.where(i) for i in kept], table.frame.iloc[kept])


def _below(folder: Path, suffixes: Sequence[str]) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(place)
        named = [name for name in files if not name.startswith(".") and name.lower().endswith(tuple(suffixes))]
        found += [(here / name).relative_to(folder).as_posix() for name in named]
    return found


def _named(names: Sequence[str]) -> pd.DataFrame:
    shown = [name.encode("utf-8", "backslashreplace").decode() for name in names]  # a name need not be UTF-8
    return pd.DataFrame({"file": shown})


def read_whole_table(path: Path, known: Sequence[str]) -> Table:
    """All columns of a table.

    Args:
        path: CSV or Parquet.
        known: Columns that are there; by them the separator is found.

    Raises:
        UserError: If there is no such file, or it is no table.
    """
    if not is_file(path):
        raise UserError(f"inputs={path}: there is no such file or folder")
    return read_user_table(path, column_names(path, known))
