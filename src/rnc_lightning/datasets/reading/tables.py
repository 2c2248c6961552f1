"""Tables of samples (CSV or Parquet) as people really have them, with every complaint naming file and row."""

import csv
import os
import re
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.system.errors import UserError

MISSING_VALUES = ("", "nan", "na", "n/a", "nat", "none", "null")  # what stands for a number that is missing
_SEPARATORS = (",", ";", "\t", "|")
_PARQUET = (".parquet", ".pq")
_WIDE = 40  # columns; of a wider table only those wanted are kept while it is read
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")  # 1,220: a thousand and more, or a decimal comma


class Table:
    """A table in memory, its cells as text where it was a CSV.

    Args:
        path: Where it came from.
        frame: Its rows; the index is each row's number as an editor shows it (the header is row 1).
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
        """A column as text without surrounding blanks; empty where a cell is."""
        values = self.frame[column]
        return [
            "" if missing else str(value).strip() for value, missing in zip(values, values.isna().tolist(), strict=True)
        ]

    def numbers(self, column: str) -> np.ndarray:
        """A column as float64; NaN where a cell is empty, no number, or beyond what float32 holds.

        Decimal commas are understood where the column leaves no doubt: no cell with a point beside them, and not each
        of them such that it may part thousands.
        """
        values = self.frame[column]
        kinds = pd.api.types
        if not kinds.is_numeric_dtype(values) or kinds.is_complex_dtype(values):
            if kinds.is_datetime64_any_dtype(values) or kinds.is_timedelta64_dtype(values):
                return np.full(len(values), np.nan)  # pandas would take their internal counts
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
        columns: Columns that must be there.
        optional: Columns that are read where they are there.
        missing: What to tell beside the path where there is no such file.

    Raises:
        UserError: Where the file is missing, is no table, or lacks a column.
    """
    if not is_file(path):
        raise UserError(f"there is no {path}. {missing}".strip())
    wanted = {*columns, *optional}
    frame = _parquet(path, wanted) if is_parquet(path) else _csv(path, wanted)
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        there = frame.columns if is_parquet(path) else csv_header(path, wanted)[0]
        raise UserError(f"{path} has no column {', '.join(absent)}; its columns are {', '.join(there)}")
    return Table(path, frame[[column for column in frame.columns if column in wanted]])


def read_labels(
    table: Table,
    columns: Sequence[str],
    problems: Problems,
    plausible: Sequence[tuple[float, float]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Number columns as labels (N, D) float64, and which rows (N,) have all of them; the others become problems.

    Args:
        table: The rows.
        columns: D columns.
        problems: Gets the rows with a label that is missing, no finite number, or not plausible.
        plausible: For each column the lowest and the highest label that is no mistake; None takes all.
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
    """Which rows (N,) repeat the key of an earlier one; they become problems. Empty keys are not compared."""
    first: dict[str, int] = {}
    repeated = np.zeros(len(keys), dtype=bool)
    for i, key in enumerate(keys):
        if not key:
            continue
        if key in first:
            repeated[i] = True
            again = f"{key}, first in row {table.frame.index[first[key]]}"
            problems.add(f"{what} that occurs more than once", table.where(i), again)
        else:
            first[key] = i
    return repeated


def is_parquet(path: Path) -> bool:
    """Whether a table is Parquet, by its name."""
    return path.suffix.lower() in _PARQUET


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises for a name that is too long


def leaves_folder(relative: str) -> bool:
    """Whether a path from a table leads out of the folder that it is relative to.

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
        raise UserError(f"{path} is not a Parquet file: {_first_line(error)}") from error
    frame.columns = [name.strip() if isinstance(name, str) else str(name) for name in frame.columns]
    check_unique_columns(path, list(frame.columns), wanted)
    return frame.set_axis(range(1, len(frame) + 1), axis=0)


def _with_points(cells: pd.Series) -> pd.Series:
    """Cells of text whose decimal commas are points; left as they are where a comma may mean something else."""
    commas = cells.str.contains(",", regex=False).fillna(False)
    if not commas.any() or cells.str.contains(r"\d\.\d").fillna(False).any():
        return cells
    if cells[commas].str.fullmatch(_THOUSANDS).all():
        return cells
    return cells.str.replace(",", ".", regex=False)


def _csv(path: Path, wanted: set[str]) -> pd.DataFrame:
    try:
        names, separator = csv_header(path, wanted)
        with warnings.catch_warnings(record=True) as longer:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=separator,
                encoding="utf-8-sig",
                dtype="string",
                usecols=(lambda name: name.strip() in wanted) if len(names) > _WIDE else None,
                skip_blank_lines=False,  # else the rows' numbers would not be those of an editor
                index_col=False,  # else a separator at the end of each row would shift all columns by one
                skipinitialspace=True,
                keep_default_na=False,  # NA may be the name of something
                na_values=[""],
            )
        if longer:
            _refuse_surplus_cells(path, separator, len(names))
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path} is not a CSV table: {_first_line(error)}") from error
    frame.columns = frame.columns.str.strip()
    frame = frame.set_axis(range(2, len(frame) + 2), axis=0)
    return frame.dropna(how="all")


def csv_header(path: Path, wanted: Collection[str]) -> tuple[list[str], str]:
    """The names in a CSV's first row, and its separator: the one by which most of the wanted names are there.

    Raises:
        UserError: Where a wanted name is there twice.
    """
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        header = file.readline()
    rows = {separator: next(csv.reader([header], delimiter=separator), []) for separator in _SEPARATORS}
    cells = {separator: [cell.strip() for cell in row] for separator, row in rows.items()}
    separator = max(cells, key=lambda s: (len(set(wanted) & set(cells[s])), len(cells[s])))
    check_unique_columns(path, cells[separator], wanted)
    return cells[separator], separator


def check_unique_columns(path: Path, names: Sequence[str], wanted: Collection[str]) -> None:
    """Refuse a table with two columns of one name.

    Raises:
        UserError: Where one of those wanted is there twice.
    """
    if twice := sorted({name for name in names if name in wanted and names.count(name) > 1}):
        raise UserError(f"{path} has the column {', '.join(twice)} twice: rename one")


def _refuse_surplus_cells(path: Path, separator: str, columns: int) -> None:
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter=separator), start=1):
            if any(cell.strip() for cell in row[columns:]):
                raise UserError(
                    f"{path}, row {number}, has {len(row)} cells, its header {columns}: quote what holds a "
                    f"{separator!r}, such as a number with a decimal comma, or use another separator"
                )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
