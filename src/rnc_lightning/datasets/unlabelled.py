"""Inputs without labels, to predict from: a folder, a single file, or a table."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rnc_lightning.datasets.reading.csv_files import csv_layout
from rnc_lightning.datasets.reading.file_check import error_message
from rnc_lightning.datasets.reading.numbers import NumberFormat
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, absence, is_file, is_parquet
from rnc_lightning.datasets.reading.user_files import find_files
from rnc_lightning.datasets.reading.user_table import column_names, read_user_table
from rnc_lightning.datasets.splits import Inputs, Split
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import check_regular


@dataclass(frozen=True)
class UserInputs:
    """Where the user's inputs are.

    Attributes:
        path: A folder, a file, or a table.
        column: The table's column of paths; None: the column of the training table, else `path`.
        root: Folder that the paths are relative to; None: the folder of the table.
    """

    path: Path
    column: str | None = None
    root: Path | None = None


@dataclass(frozen=True)
class Unlabelled:
    """The usable inputs, checked before the prediction starts.

    Attributes:
        columns: One row per prediction, with the columns that identify it.
        splits: The inputs in the order of the rows, prepared like the test inputs, in one or more splits created one
            after the other; several inputs of one row form a group.
    """

    columns: pd.DataFrame
    splits: Iterable[Split]


def blank_split(inputs: Inputs) -> Split:
    """Inputs as a split with unused labels of 0."""
    count = len(inputs)
    return Split(inputs, torch.zeros(count, 1), [str(i) for i in range(count)])


@dataclass(frozen=True)
class UserFiles:
    """Files to predict from.

    Attributes:
        paths: N files.
        where: For messages: the path of each, or its row in the table.
        columns: N rows, the first columns of the table of predictions.
    """

    paths: list[Path]
    where: list[str]
    columns: pd.DataFrame

    def __len__(self) -> int:
        return len(self.paths)

    def without(self, bad: Mapping[int, str], kind: str, problems: Problems) -> "UserFiles":
        """The files not in `bad`, which gives the reason by index; the bad ones become problems of this kind."""
        for i, reason in sorted(bad.items()):
            in_table = self.where[i] != str(self.paths[i])
            problems.add(kind, self.where[i], f"{self.paths[i]}: {reason}" if in_table else reason)
        good = [i for i in range(len(self)) if i not in bad]
        return UserFiles([self.paths[i] for i in good], [self.where[i] for i in good], self.columns.iloc[good])


def list_files(inputs: UserInputs, suffixes: Sequence[str], column: str, problems: Problems) -> UserFiles:
    """The files in a folder and its subfolders, a single file, or the files listed in a table.

    Args:
        inputs: A folder, a file with one of the suffixes, or a table (CSV or Parquet).
        suffixes: File name suffixes; other files in a folder are ignored.
        column: The table's column of paths if `inputs` does not name one.
        problems: Receives the rows without a file.

    Raises:
        UserError: If there is nothing to predict from.
    """
    path, column = inputs.path, inputs.column or column
    if path.is_dir():
        names = sorted(_find_below(path, suffixes))
        if not names:
            raise UserError(f"inputs={path}: no file in this folder or its subfolders ends in {', '.join(suffixes)}")
        found = UserFiles([path / name for name in names], [str(path / name) for name in names], _named(names))
        reasons = [error_message(partial(check_regular, file)) for file in found.paths]
        return found.without({i: reason for i, reason in enumerate(reasons) if reason}, "not a file", problems)
    if is_file(path) and path.suffix.lower() in suffixes:
        return UserFiles([path], [str(path)], _named([path.name]))
    table = read_whole_table(path, [column])
    if column not in table.frame.columns:
        raise UserError(
            f"inputs={path} has no column {column} for the paths (set input=...); its columns are "
            f"{', '.join(table.frame.columns)}"
        )
    root = path.parent if inputs.root is None else inputs.root
    _, files, good = find_files(table, column, root, problems, root_key="root")
    chosen = np.flatnonzero(good).tolist()
    return UserFiles([files[i] for i in chosen], [table.where(i) for i in chosen], table.frame.iloc[chosen])


def _find_below(folder: Path, suffixes: Sequence[str]) -> list[str]:
    names = []
    for subfolder, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        matching = [name for name in files if not name.startswith(".") and name.lower().endswith(tuple(suffixes))]
        names += [Path(subfolder, name).relative_to(folder).as_posix() for name in matching]
    return names


def _named(names: Sequence[str]) -> pd.DataFrame:
    shown = [name.encode("utf-8", "backslashreplace").decode() for name in names]  # file names may not be UTF-8
    return pd.DataFrame({"file": shown})


def read_whole_table(path: Path, known: Sequence[str], form: NumberFormat | None = None) -> Table:
    """All columns of a table, as they are; of a CSV, columns without a name only if they have a cell that is not empty.

    Args:
        path: CSV or Parquet.
        known: Columns that the table has, used to detect the separator.
        form: How its numbers are written; None: found out.

    Raises:
        UserError: If the file does not exist or is not a table.
    """
    if not is_file(path):
        raise UserError(f"inputs={path}: {absence(path, 'such file or folder')}")
    table = read_user_table(path, column_names(path, known), form)
    table.whole.options = False  # those of the run are fixed
    unnamed = [] if is_parquet(path) else [i for i, name in enumerate(csv_layout(path, known).names) if not name]
    frame = table.frame.drop(columns=[f"Unnamed: {i}" for i in unnamed if table.frame[f"Unnamed: {i}"].isna().all()])
    return Table(path, frame.rename(columns={f"Unnamed: {i}": "" for i in unnamed}), table.whole)
