"""Tables of samples (CSV or Parquet) as people really have them, with every complaint naming file and row."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from rnc_lightning.data.problems import Problems
from rnc_lightning.errors import UserError

_SEPARATORS = (",", ";", "\t", "|")


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
        """A column as float64; NaN where a cell is empty or no number. Decimal commas are understood."""
        values = self.frame[column]
        found = pd.to_numeric(values, errors="coerce")
        if found.isna().any() and not pd.api.types.is_numeric_dtype(values):
            commas = pd.to_numeric(values.astype("string").str.replace(",", ".", regex=False), errors="coerce")
            found = found.astype("Float64").fillna(commas.astype("Float64"))
        return found.to_numpy(dtype=np.float64, na_value=np.nan)

    def kept(self, keep: np.ndarray) -> "Table":
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
    if not path.is_file():
        raise UserError(f"there is no {path}. {missing}".strip())
    wanted = {*columns, *optional}
    frame = _parquet(path) if path.suffix in (".parquet", ".pq") else _csv(path, wanted)
    absent = [column for column in columns if column not in frame.columns]
    if absent:
        raise UserError(
            f"{path} has no column {', '.join(absent)}; its columns are {', '.join(map(str, frame.columns))}"
        )
    return Table(path, frame[[column for column in frame.columns if column in wanted]])


def labels(
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
            if texts[i] == "" or texts[i].lower() == "nan":
                problems.add(f"{column} missing", table.where(i))
            else:
                problems.add(f"{column} not a finite number", table.where(i), repr(texts[i]))
    good = np.isfinite(values).all(axis=1)
    for d, (low, high) in enumerate(plausible or ()):
        for i in np.flatnonzero(np.isfinite(values[:, d]) & ((values[:, d] < low) | (values[:, d] > high))).tolist():
            problems.add(f"{columns[d]} outside {low:g} to {high:g}", table.where(i), f"{values[i, d]:g}")
            good[i] = False
    return values, good


def duplicates(keys: Sequence[str], table: Table, what: str, problems: Problems) -> np.ndarray:
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


def climbs_out(relative: str) -> bool:
    """Whether a path from a table leads out of the folder that it is relative to.

    >>> climbs_out("faces/1.jpg"), climbs_out("faces/../../1.jpg"), climbs_out("/etc/passwd")
    (False, True, True)
    """
    plain = os.path.normpath(relative.replace("\\", "/"))
    return Path(plain).is_absolute() or plain.split("/")[0] == ".." or (len(plain) > 1 and plain[1] == ":")


def _parquet(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
    except ImportError as error:
        raise UserError(f"{path}: Parquet needs pyarrow: pip install 'rnc-lightning[parquet]'") from error
    except (ValueError, OSError) as error:
        raise UserError(f"{path} is not a Parquet file: {_first_line(error)}") from error
    return frame.set_axis(range(1, len(frame) + 1), axis=0)


def _csv(path: Path, wanted: set[str]) -> pd.DataFrame:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline()
        separator = max(_SEPARATORS, key=lambda s: (len(wanted & _cells(header, s)), header.count(s)))
        frame = pd.read_csv(
            path,
            sep=separator,
            encoding="utf-8-sig",
            dtype="string",
            skip_blank_lines=False,  # else the rows' numbers would not be those of an editor
            index_col=False,  # else a separator at the end of each row would shift all columns by one
            skipinitialspace=True,
        )
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 (byte {error.start}): save it as UTF-8") from error
    except (ValueError, OSError) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path} is not a CSV table: {_first_line(error)}") from error
    frame.columns = frame.columns.str.strip()
    frame = frame.set_axis(range(2, len(frame) + 2), axis=0)
    return frame.dropna(how="all")


def _cells(header: str, separator: str) -> set[str]:
    return {cell.strip().strip('"') for cell in header.split(separator)}


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
