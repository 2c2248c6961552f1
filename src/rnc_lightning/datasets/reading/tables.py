"""Reads tables of samples (CSV or Parquet) in their usual variants; every message names file and row."""

import csv
import os
import re
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.system.errors import UserError, first_line

MISSING_VALUES = ("", "nan", "na", "n/a", "nat", "none", "null")  # how tables write a missing number
_SEPARATORS = (",", ";", "\t", "|")
_PARQUET = (".parquet", ".pq")
_MOST_HEADER = 50_000_000  # characters of the first row, of a million columns
_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")  # gzip, zip, bzip2, xz, zstd
_WIDE = 40  # columns; from a wider table only the wanted ones are read
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")  # 1,220: a thousands separator or a decimal comma


class Table:
    """A table in memory; cells from a CSV are text.

    Args:
        path: The file it was read from.
        frame: Its rows; the index is each row's number in a spreadsheet program (the header is row 1).
    """

    def __init__(self, path: Path, frame: pd.DataFrame) -> None:
        self.path = path
        self.frame = frame

    def __len__(self) -> int:
        return len(self.frame)

    def where(self, position: int) -> str:
        """File and row of the sample at a position."""
        return f"{self.path.name}, row {self.frame.index[position]}"

    def texts(self, column: str) -> list[str]:
        """A column as text without surrounding blanks; empty cells become empty strings."""
        values = self.frame[column]
        return [
            "" if missing else str(value).strip() for value, missing in zip(values, values.isna().tolist(), strict=True)
        ]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64; NaN if a cell is empty, not a number, or beyond the range of float32.

        Decimal commas are accepted if they are unambiguous: no cell has a decimal point, and not every comma could be
        a thousands separator.
        """
        values = self.frame[column]
        kinds = pd.api.types
        if not kinds.is_numeric_dtype(values) or kinds.is_complex_dtype(values):
            if kinds.is_datetime64_any_dtype(values) or kinds.is_timedelta64_dtype(values):
                return np.full(len(values), np.nan)  # pandas would return their internal integers
            values = _with_points(values.astype("string").str.strip())
        found = pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return np.where(np.abs(found) <= np.finfo(np.float32).max, found, np.nan)

    def select(self, keep: np.ndarray) -> "Table":
        """The rows where a mask is true, their numbers unchanged."""
        return Table(self.path, self.frame[keep])


def read_table(path: Path, columns: Sequence[str], optional: Sequence[str] = (), missing: str = "") -> Table:
    """Read columns of a CSV (any of `, ; tab |` as separator, with or without a byte order mark) or Parquet file.

    Args:
        path: The file; `.parquet` and `.pq` are Parquet.
        columns: Required columns.
        optional: Columns that are read if they exist.
        missing: Added to the error message if the file does not exist.

    Raises:
        UserError: If the file is missing, is not a table, or lacks a column.
    """
    if not is_file(path):
        raise UserError(f"{absence(path)}. {missing}".strip())
    wanted = {*columns, *optional}
    frame = _parquet(path, wanted) if is_parquet(path) else _csv(path, wanted)
    if absent := [column for column in columns if column not in frame.columns]:
        present = frame.columns if is_parquet(path) else csv_header(path, wanted)[0]
        raise UserError(f"{path} has no column {', '.join(absent)}; its columns are {', '.join(present)}")
    return Table(path, frame[[column for column in frame.columns if column in wanted]])


def read_labels(
    table: Table,
    columns: Sequence[str],
    problems: Problems,
    plausible: Sequence[tuple[float, float]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Numeric columns as labels (N, D) float64, and a mask (N,) of the rows that have all of them.

    Args:
        table: N rows.
        columns: D columns.
        problems: Receives the rows with a label that is missing, not a finite number, or not plausible.
        plausible: For each column the lowest and the highest label to accept; None accepts all.
    """
    values = np.stack([table.numbers(column) for column in columns], axis=1)
    for d, column in enumerate(columns):
        texts: list[str] | None = None
        for i in np.flatnonzero(~np.isfinite(values[:, d])).tolist():
            texts = texts or table.texts(column)
            if texts[i].lower() in MISSING_VALUES:
                problems.add(f"{column} missing", table.where(i))
            else:
                problems.add(f"{column} not a finite number", table.where(i), repr(texts[i]))
    good = np.isfinite(values).all(axis=1)
    for d, (low, high) in enumerate(plausible or ()):
        for i in np.flatnonzero(np.isfinite(values[:, d]) & ((values[:, d] < low) | (values[:, d] > high))).tolist():
            problems.add(f"{columns[d]} outside {low:g} to {high:g}", table.where(i), f"{values[i, d]:g}")
            good[i] = False
    return values, good


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


def _parquet(path: Path, wanted: set[str]) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise UserError(f"{path}: Parquet needs pyarrow: pip install 'rnc-lightning[parquet]'") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not a Parquet file: {first_line(error)}") from error
    frame.columns = [name.strip() if isinstance(name, str) else str(name) for name in frame.columns]
    check_unique_columns(path, list(frame.columns), wanted)
    return frame.set_axis(range(1, len(frame) + 1), axis=0)


def _with_points(cells: pd.Series) -> pd.Series:
    """Text cells with decimal commas replaced by points; unchanged if a comma may mean something else."""
    commas = cells.str.contains(",", regex=False).fillna(False)
    if not commas.any() or cells.str.contains(r"\d\.\d").fillna(False).any():
        return cells
    if cells[commas].str.fullmatch(_THOUSANDS).all():
        return cells
    return cells.str.replace(",", ".", regex=False)


def _csv(path: Path, wanted: set[str]) -> pd.DataFrame:
    try:
        names, separator = csv_header(path, wanted)
        with warnings.catch_warnings(record=True) as too_long:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=separator,
                encoding="utf-8-sig",
                compression=None,  # otherwise the name alone would have it unpacked, to any size
                dtype="string",
                usecols=(lambda name: name.strip() in wanted) if len(names) > _WIDE else None,
                skip_blank_lines=False,  # otherwise row numbers would differ from those in an editor
                index_col=False,  # otherwise a separator at the end of each row would shift all columns by one
                skipinitialspace=True,
                keep_default_na=False,  # NA may be a name
                na_values=[""],
            )
        if too_long:
            _refuse_surplus_cells(path, separator, len(names))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path} is not a CSV table: {first_line(error)}") from error
    frame.columns = frame.columns.str.strip()
    frame = frame.set_axis(range(2, len(frame) + 2), axis=0)
    return frame.dropna(how="all")


def csv_header(path: Path, wanted: Collection[str]) -> tuple[list[str], str]:
    """The column names in a CSV's first row, and its separator: the one that yields most of the wanted names.

    Raises:
        UserError: If a wanted name occurs twice.
    """
    with path.open("rb") as file:
        if file.read(6).startswith(_COMPRESSED):
            raise UserError(f"{path} is compressed: unpack it first")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline(_MOST_HEADER)
    cells = {separator: _header_cells(header, separator) for separator in _SEPARATORS}
    if not any(cells.values()) and header.strip():
        raise UserError(f"{path} is not a CSV table: its first row has no separator in {len(header):,} characters")
    separator = max(cells, key=lambda s: (len(set(wanted) & set(cells[s])), len(cells[s])))
    check_unique_columns(path, cells[separator], wanted)
    return cells[separator], separator


def _header_cells(header: str, separator: str) -> list[str]:
    """The cells of a header; none for a separator with which one of them is longer than Python's CSV reader allows."""
    try:
        return [cell.strip() for cell in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error:
        return []


def check_unique_columns(path: Path, names: Sequence[str], wanted: Collection[str]) -> None:
    """Refuse a table with two columns of the same name.

    Raises:
        UserError: If a wanted name occurs twice.
    """
    if twice := sorted({name for name in names if name in wanted and names.count(name) > 1}):
        raise UserError(f"{path} has the column {', '.join(twice)} twice: rename one")


def _refuse_surplus_cells(path: Path, separator: str, columns: int) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter=separator), start=1):
            if any(cell.strip() for cell in row[columns:]):
                raise UserError(
                    f"{path}, row {number}, has {len(row)} cells but the header has {columns}: put quotes around cells "
                    f"that contain {separator!r}, such as numbers with a decimal comma, or use another separator"
                )
