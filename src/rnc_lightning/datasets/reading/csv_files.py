"""CSV files as spreadsheet programs and scripts write them: separators, encodings, a first line `sep=;`."""

import csv
import re
import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rnc_lightning.system.errors import UserError, first_line

_SEPARATORS = (",", ";", "\t", "|")
_WIDE = 40  # columns; from a wider table only the wanted ones are read
_MARKS = {  # byte order marks; the longer ones first
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_HEAD = 4096  # bytes
_MOST_HEADER = 50_000_000  # characters of the header, of a million columns
_COMPRESSED = (b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd")  # gzip, zip, bzip2, xz, zstd
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)


@dataclass(frozen=True)
class CsvLayout:
    """How a CSV file is written.

    Attributes:
        names: The column names in its header.
        separator: One character.
        encoding: A name that Python knows.
        first_row: Number of the first row below the header, as a spreadsheet program counts.
    """

    names: list[str]
    separator: str
    encoding: str
    first_row: int


def csv_layout(path: Path, wanted: Collection[str]) -> CsvLayout:
    """Look at the head of a CSV file.

    Args:
        path: The file.
        wanted: Columns that it should have; without a line `sep=;`, the separator that yields most of them is chosen.

    Raises:
        UserError: If it is not text, or a wanted name occurs twice.
    """
    encoding = _encoding(path)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        header = file.readline(_MOST_HEADER)
        said = _SEPARATOR_LINE.fullmatch(header.rstrip("\r\n"))
        if said is not None:
            header = file.readline(_MOST_HEADER)
    choices = _SEPARATORS if said is None else (said[1],)
    cells = {separator: _header_cells(header, separator) for separator in choices}
    if not any(cells.values()) and header.strip():
        raise UserError(f"{path} is not a CSV table: its first row has no separator in {len(header):,} characters")
    separator = max(cells, key=lambda s: (len(set(wanted) & set(cells[s])), len(cells[s])))
    check_unique_columns(path, cells[separator], wanted)
    return CsvLayout(cells[separator], separator, encoding, 2 if said is None else 3)


def read_csv_frame(path: Path, wanted: set[str]) -> tuple[pd.DataFrame, CsvLayout]:
    """A CSV file as text; the index is each row's number in a spreadsheet program. Empty rows are left out.

    Raises:
        UserError: If it is not a table.
    """
    try:
        layout = csv_layout(path, wanted)
        with warnings.catch_warnings(record=True) as too_long:
            warnings.simplefilter("always", pd.errors.ParserWarning)
            frame = pd.read_csv(
                path,
                sep=layout.separator,
                encoding=layout.encoding,
                compression=None,  # otherwise the name alone would have it unpacked, to any size
                skiprows=layout.first_row - 2,
                dtype="string",
                usecols=(lambda name: name.strip() in wanted) if len(layout.names) > _WIDE else None,
                skip_blank_lines=False,  # otherwise row numbers would differ from those in an editor
                index_col=False,  # otherwise a separator at the end of each row would shift all columns by one
                skipinitialspace=True,
                keep_default_na=False,  # NA may be a name
                na_values=[""],
            )
        if too_long:
            _refuse_surplus_cells(path, layout)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 ({_undecodable(path)}): save it as UTF-8") from error
    except (ValueError, OSError, csv.Error) as error:  # pandas' parser errors are ValueErrors
        raise UserError(f"{path} is not a CSV table: {first_line(error)}") from error
    frame.columns = frame.columns.str.strip()
    frame = frame.set_axis(range(layout.first_row, len(frame) + layout.first_row), axis=0)
    return frame.dropna(how="all"), layout


def check_unique_columns(path: Path, names: Sequence[str], wanted: Collection[str]) -> None:
    """Refuse a table with two columns of the same name.

    Raises:
        UserError: If a wanted name occurs twice.
    """
    if twice := sorted({name for name in names if name in wanted and names.count(name) > 1}):
        raise UserError(f"{path} has the column {', '.join(twice)} twice: rename one")


def _header_cells(header: str, separator: str) -> list[str]:
    """The cells of a header; none for a separator with which one of them is longer than Python's CSV reader allows."""
    try:
        return [cell.strip() for cell in next(csv.reader([header], delimiter=separator), [])]
    except csv.Error:
        return []


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(_COMPRESSED):
        raise UserError(f"{path} is compressed: unpack it first")
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    if b"\0" in head:
        raise UserError(f"{path} is not text in UTF-8: it has bytes of 0. If it is a table, save it as CSV in UTF-8")
    return "utf-8-sig"


def _undecodable(path: Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                shown = line[max(0, error.start - 10) : error.start + 10].decode("latin-1")
                return f"row {number}: {shown.strip()!r} if it is Latin-1"
    return "the last row is cut off"


def _refuse_surplus_cells(path: Path, layout: CsvLayout) -> None:
    columns = len(layout.names)
    with path.open(encoding=layout.encoding, newline="") as file:
        for number, row in enumerate(csv.reader(file, delimiter=layout.separator), start=1):
            if number >= layout.first_row and any(cell.strip() for cell in row[columns:]):
                raise UserError(
                    f"{path}, row {number}, has {len(row)} cells but the header has {columns}: put quotes around cells "
                    f"that contain {layout.separator!r}, such as numbers with a decimal comma, or use another separator"
                )
