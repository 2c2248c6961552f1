"""Reads tables of samples (CSV or Parquet) in their usual variants; every message names file and row."""

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from rnc_lightning.datasets.reading.csv_files import check_unique_columns, csv_layout, read_csv_frame
from rnc_lightning.datasets.reading.numbers import (
    MISSING_VALUES,
    AmbiguousNumberError,
    Evidence,
    NumberFormat,
    gather_evidence,
    has_sign,
    parse_numbers,
)
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.system.errors import UserError, first_line

_EXACT = 2**53  # above it, float64 skips whole numbers
_PARQUET = (".parquet", ".pq")


class WholeFile:
    """All columns that were read from a file, and how it writes numbers.

    Args:
        frame: The columns.
        form: The marks of its numbers, as far as the user says.
        semicolons: Whether its separator is a semicolon.
        options: Whether the user can say them with options; for messages.
    """

    def __init__(
        self, frame: pd.DataFrame, form: NumberFormat, semicolons: bool = False, options: bool = False
    ) -> None:
        self.frame = frame
        self.form = form
        self.options = options
        self.semicolons = semicolons

    @cached_property
    def evidence(self) -> Evidence:
        """What its columns show about the decimal mark."""
        return gather_evidence(self.frame, self.semicolons)


class Table:
    """A table in memory; cells from a CSV are text.

    Args:
        path: The file it was read from.
        frame: Its rows; the index is each row's number in a spreadsheet program (the header is row 1).
        whole: All columns of the file; None: `frame` has them.
    """

    def __init__(self, path: Path, frame: pd.DataFrame, whole: WholeFile | None = None) -> None:
        self.path = path
        self.frame = frame
        self.whole = whole or WholeFile(frame, NumberFormat())

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, position: int) -> str:
        """File and row of the sample at a position."""
        return f"{self.path.name}, row {self.frame.index[position]}"

    def texts(self, column: str) -> list[str]:
        """A column as text without surrounding blanks; empty cells become empty strings."""
        return [str(value).strip() for value in self.frame[column].to_numpy(dtype=object, na_value="")]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64; NaN if a cell is empty, not a number, or beyond the range of float32.

        Raises:
            UserError: If a number may be read in two ways, such as 1.171 in a table with decimal commas.
        """
        values = self.frame[column]
        kinds = pd.api.types
        if kinds.is_datetime64_any_dtype(values) or kinds.is_timedelta64_dtype(values):
            return np.full(len(values), np.nan)  # pandas would return their internal integers
        if kinds.is_numeric_dtype(values) and not kinds.is_complex_dtype(values):
            found = values.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            texts = self.texts(column)
            try:
                found = parse_numbers(texts, self.whole.form, lambda: self.whole.evidence)
            except AmbiguousNumberError as error:
                where = self.where([text.replace("\u2212", "-") for text in texts].index(error.cell))
                fix = error.options if self.whole.options else error.rewriting
                raise UserError(f"{where}, column {column}: {error}: {fix}") from None
        return np.where(np.abs(found) <= np.finfo(np.float32).max, found, np.nan)

    def select(self, keep: np.ndarray) -> "Table":
        """The rows where a mask is true, their numbers unchanged."""
        return Table(self.path, self.frame[keep], self.whole)


def read_table(
    path: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    missing: str = "",
    form: NumberFormat | None = None,
) -> Table:
    """Read columns of a CSV (any of `, ; tab |` as separator, UTF-8, or UTF-16 with its mark) or Parquet file.

    Args:
        path: The file; `.parquet` and `.pq` are Parquet.
        columns: Required columns.
        optional: Columns that are read if they exist.
        missing: Added to the error message if the file does not exist.
        form: How numbers are written, where options say so; None: found out.

    Raises:
        UserError: If the file is missing, is not a table, or lacks a column.
    """
    if not is_file(path):
        raise UserError(f"{absence(path)}. {missing}".strip())
    wanted = {*columns, *optional}
    semicolons = False
    if is_parquet(path):
        frame = parquet_frame(path, wanted)
    else:
        frame, layout = read_csv_frame(path, wanted)
        semicolons = layout.separator == ";"
    if absent := [column for column in columns if column not in frame.columns]:
        present = frame.columns if is_parquet(path) else csv_layout(path, wanted).names
        raise UserError(f"{path} has no column {', '.join(absent)}; its columns are {', '.join(present)}")
    whole = WholeFile(frame, form or NumberFormat(), semicolons, options=form is not None)
    return Table(path, frame[[column for column in frame.columns if column in wanted]], whole)


def read_labels(
    table: Table,
    columns: Sequence[str],
    problems: Problems,
    plausible: Sequence[tuple[float, float]] | None = None,
    partial: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Numeric columns as labels (N, D) float64, and a mask (N,) of the rows that can be used.

    Args:
        table: N rows.
        columns: D columns.
        problems: Receives the rows with a label that is missing, not a finite number, or not plausible.
        plausible: For each column the lowest and the highest label to accept; None accepts all.
        partial: Whether a row may lack some of the labels, which are NaN then, but not all.

    Raises:
        UserError: If most cells of a column are numbers with a sign of currency or percent, or float64 cannot tell
            some of them apart.
    """
    values = np.stack([table.numbers(column) for column in columns], axis=1)
    missing = np.zeros(values.shape, dtype=bool)
    for d, column in enumerate(columns):
        if len(unusable := np.flatnonzero(~np.isfinite(values[:, d]))):
            texts = table.texts(column)
            missing[unusable, d] = [texts[i].lower() in MISSING_VALUES for i in unusable]
            _refuse_signs(table, column, texts)
            for i in unusable[~missing[unusable, d]].tolist():
                problems.add(f"{column} not a finite number", table.where(i), repr(texts[i]))
        _refuse_collapsed(table, column, values[:, d])
    allowed = missing & partial & ~missing.all(axis=1, keepdims=True)
    for i, d in np.argwhere(missing & ~allowed).tolist():
        problems.add(f"{columns[d]} missing", table.where(i))
    good = (np.isfinite(values) | allowed).all(axis=1)
    for d, (low, high) in enumerate(plausible or ()):
        for i in np.flatnonzero(np.isfinite(values[:, d]) & ((values[:, d] < low) | (values[:, d] > high))).tolist():
            problems.add(f"{columns[d]} outside {low:g} to {high:g}", table.where(i), f"{values[i, d]:.15g}")
            good[i] = False
    return values, good


def _refuse_collapsed(table: Table, column: str, values: np.ndarray) -> None:
    large = np.flatnonzero(np.abs(values) > _EXACT)
    texts = table.texts(column) if len(large) else []
    first: dict[float, int] = {}
    for i in large.tolist():
        if texts[i].lstrip("+-").isdigit() and texts[first.setdefault(float(values[i]), i)] != texts[i]:
            raise UserError(
                f"{table.where(i)}, column {column}: {texts[i]} and {texts[first[values[i]]]} are the same number in "
                "double precision: use a larger unit (seconds, not nanoseconds), or subtract a constant"
            )


def _refuse_signs(table: Table, column: str, texts: Sequence[str]) -> None:
    signed = [i for i, text in enumerate(texts) if has_sign(text)]
    if 2 * len(signed) > sum(text.lower() not in MISSING_VALUES for text in texts):
        raise UserError(
            f"{table.where(signed[0])}, column {column}: {texts[signed[0]]!r} is a number with a sign: write plain "
            "numbers, and the unit in the column's name"
        )


def find_duplicates(keys: Sequence[str], table: Table, what: str, problems: Problems) -> np.ndarray:
    """Mask (N,) of the rows that repeat an earlier row's key; they become problems. Empty keys are not compared."""
    first: dict[str, int] = {}
    repeated = np.zeros(len(keys), dtype=bool)
    for i, key in enumerate(keys):
        if key and first.setdefault(key, i) != i:
            repeated[i] = True
            detail = f"{key}, first in row {table.frame.index[first[key]]}"
            problems.add(f"{what} that occurs more than once", table.where(i), detail)
    return repeated


def is_parquet(path: Path) -> bool:
    """Whether the file name is that of a Parquet table."""
    return path.suffix.lower() in _PARQUET


def is_file(path: Path) -> bool:
    """Whether the file exists; False, not an error, for a name that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def absence(path: Path, what: str | None = None) -> str:
    """Why a path is no file: there is nothing, or something else, such as a pipe, which could be waited for forever."""
    return f"{path} is not a regular file" if os.path.exists(path) else f"there is no {what or path}"  # noqa: PTH110 - as above


def leaves_folder(relative: str) -> bool:
    """Whether a relative path from a table leads out of its folder.

    >>> leaves_folder("faces/1.jpg"), leaves_folder("faces/../../1.jpg"), leaves_folder("/etc/passwd")
    (False, True, True)
    """
    plain = os.path.normpath(relative.replace("\\", "/"))
    return Path(plain).is_absolute() or plain.split("/")[0] == ".." or (len(plain) > 1 and plain[1] == ":")


def parquet_frame(path: Path, wanted: set[str]) -> pd.DataFrame:
    """All columns of a Parquet file and the named ones of its index; the index is each row's number, from 1 up.

    Raises:
        UserError: If it cannot be read, or a wanted name occurs twice.
    """
    try:
        frame = pd.read_parquet(path, dtype_backend="numpy_nullable")  # integers stay integers beside empty cells
    except ImportError as error:
        raise UserError(f"{path}: Parquet needs pyarrow: pip install 'rnc-lightning[parquet]'") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not a Parquet file: {first_line(error)}") from error
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    frame.columns = [name.strip() if isinstance(name, str) else str(name) for name in frame.columns]
    check_unique_columns(path, list(frame.columns), wanted)
    return frame.set_axis(range(1, len(frame) + 1), axis=0)
