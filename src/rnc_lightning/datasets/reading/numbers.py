"""Numbers as people write them in tables: decimal points or commas, thousands marks, true and false.

`1.171` is 1171 in one country and 1.171 in another. A column is read in one of two conventions: `point` (decimal point,
thousands commas) or `comma` (decimal comma, thousands points). Which one must follow from the column itself, or where
nothing speaks against it from the other columns; otherwise the number is refused.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

MISSING_VALUES = ("", "nan", "na", "n/a", "nat", "none", "null")  # how tables write a missing number

Convention = Literal["point", "comma"]

_SPACES = " \u00a0\u202f\u2009"  # also those that word processors and Excel put between thousands
_MARKS = {"point": ".", "comma": ",", "apostrophe": "'", "space": " ", "none": ""}
_THOUSANDS = {".": ".", ",": ",", "'": "'\u2019", " ": _SPACES}  # the characters that stand for a thousands mark
_NEVER_DECIMAL = "'\u2019" + _SPACES
_PLAIN = re.compile(r"[0-9+\-.eE\n]*")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:\.\d{3})+")
_NUMBER_LIKE = re.compile(rf"[+\-\u2212]?[\d.,]['\u2019\d.,{_SPACES}]*(?:e[+-]?\d+)?|true|false", re.I | re.ASCII)
_SIGNED = re.compile(
    rf"(?:[$€£¥]|EUR|USD|CHF)?[{_SPACES}]*[+-]?[{_SPACES}]*\d[\d.,'{_SPACES}]*(?:%|‰|[$€£¥]|EUR|USD|CHF)?", re.I
)


class AmbiguousNumberError(ValueError):
    """A cell that may be two numbers.

    Args:
        message: Says so.
        cell: Its text.
        options: The options with which the user can decide.
        rewriting: How to write it without a doubt, where there are no options.
    """

    def __init__(self, message: str, cell: str, options: str, rewriting: str) -> None:
        super().__init__(message)
        self.cell = cell
        self.options = options
        self.rewriting = rewriting


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written in a table.

    Attributes:
        decimal: `point` (or `.`) or `comma` (or `,`); None: found out from the table.
        thousands: `point`, `comma`, `apostrophe` or `space` (or the character itself), or `none`; None: like `none` if
            `decimal` is set, otherwise found out from the table.

    Raises:
        ValueError: For another mark, or twice the same.
    """

    decimal: str | None = None
    thousands: str | None = None

    def __post_init__(self) -> None:
        decimal = None if self.decimal is None else _MARKS.get(str(self.decimal), str(self.decimal))
        thousands = None if self.thousands is None else _MARKS.get(str(self.thousands), str(self.thousands))
        if decimal not in (None, ".", ","):
            raise ValueError(f"decimal must be point or comma, got {self.decimal!r}")
        if thousands not in (None, "", *_THOUSANDS):
            raise ValueError(f"thousands must be point, comma, apostrophe, space or none, got {self.thousands!r}")
        if decimal is not None and decimal == thousands:
            raise ValueError(f"decimal and thousands are the same mark, {self.decimal}")
        if decimal is None and thousands is not None:
            decimal = "." if thousands == "," else "," if thousands == "." else None
        object.__setattr__(self, "decimal", decimal)
        object.__setattr__(self, "thousands", thousands)


@dataclass(frozen=True)
class Evidence:
    """What the columns of a file show about its numbers: whether some can only have decimal points, or only commas."""

    points: bool = False
    commas: bool = False
    semicolons: bool = False  # as separator, which programs choose where the comma is the decimal mark


def parse_numbers(texts: Sequence[str], form: NumberFormat, evidence: Callable[[], Evidence]) -> np.ndarray:
    """A column of text (N,) as float64; NaN for what is missing or not a number. `True` and `False` are 1 and 0.

    Args:
        texts: Cells without blanks around them.
        form: How the numbers are written.
        evidence: What the other columns show; called only if this column does not decide.

    Raises:
        AmbiguousNumberError: If a cell may be two numbers.
    """
    filled = np.fromiter((text.lower() not in MISSING_VALUES for text in texts), dtype=bool, count=len(texts))
    cells = [text.replace("\u2212", "-") for text, full in zip(texts, filled, strict=True) if full]
    values = np.full(len(texts), np.nan)
    values[filled] = _parse(cells, form, evidence)
    return values


def gather_evidence(frame: pd.DataFrame, semicolons: bool) -> Evidence:
    """What a table's columns of text show about its decimal marks; columns of mostly other text are not asked."""
    points = commas = False
    for position in range(frame.shape[1]):
        column = frame.iloc[:, position]
        if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
            continue
        cells = [text for text in column.astype("string").str.strip().dropna() if text.lower() not in MISSING_VALUES]
        readings = _Readings.of(cells, _NEVER_DECIMAL)
        if 2 * int((readings.point | readings.comma).sum()) > len(cells):
            points |= bool(readings.only_point.any())
            commas |= bool(readings.only_comma.any())
    return Evidence(points, commas, semicolons)


def looks_like_number(cell: str) -> bool:
    """Whether a cell is made of digits and marks, or is true or false.

    >>> [looks_like_number(cell) for cell in ("1.171,5", "-1e-5", "True", "A1", "")]
    [True, True, True, False, False]
    """
    return _NUMBER_LIKE.fullmatch(cell) is not None


def has_sign(cell: str) -> bool:
    """Whether a cell is a number with a sign of currency or percent.

    >>> has_sign("45 %"), has_sign("€ 1.200"), has_sign("45"), has_sign("A45")
    (True, True, False, False)
    """
    return bool(_SIGNED.fullmatch(cell)) and bool(re.search(r"[%‰$€£¥]|[A-Z]", cell, re.I))


def _parse(cells: list[str], form: NumberFormat, evidence: Callable[[], Evidence]) -> np.ndarray:
    if cells and all(cell.lower() in ("true", "false") for cell in cells):
        return np.array([cell.lower() == "true" for cell in cells], dtype=np.float64)
    if (values := _parse_plain(cells, form)) is not None:
        return values
    if form.decimal is not None:
        decimal, thousands = form.decimal, _THOUSANDS.get(form.thousands or "", "")
    else:
        extra = _NEVER_DECIMAL if form.thousands is None else _THOUSANDS.get(form.thousands, "")
        decimal = _choose_decimal(_Readings.of(cells, extra), evidence)
        thousands = {".": ",", ",": "."}[decimal] + extra
    numbers = _matches(cells, decimal, thousands)
    values = np.full(len(cells), np.nan)
    surplus = str.maketrans("", "", {".": ",", ",": "."}[decimal] + _NEVER_DECIMAL)
    plain = [cells[i].translate(surplus).replace(",", ".") for i in np.flatnonzero(numbers)]
    values[numbers] = np.array(plain, dtype=object).astype(np.float64)  # correctly rounded, unlike pandas' parser
    return values


def _parse_plain(cells: list[str], form: NumberFormat) -> np.ndarray | None:
    """Numbers without commas and thousands marks, the usual case, done fast; None if that is not sure."""
    joined = "\n".join(cells)
    if form.decimal == "," or not _PLAIN.fullmatch(joined):
        return None
    proven = form.decimal == "." or "." not in joined
    if not proven and not any("." in cell and not _GROUPED.fullmatch(cell) for cell in cells):
        return None
    try:
        return np.array(cells, dtype=object).astype(np.float64)
    except ValueError:
        return None


@dataclass(frozen=True)
class _Readings:
    """Which cells (N,) are numbers with a decimal point, and which with a decimal comma."""

    cells: list[str]
    point: np.ndarray
    comma: np.ndarray

    @classmethod
    def of(cls, cells: list[str], extra: str) -> "_Readings":
        return cls(cells, _matches(cells, ".", "," + extra), _matches(cells, ",", "." + extra))

    def having(self, mark: str) -> np.ndarray:
        return np.array([mark in cell for cell in self.cells], dtype=bool)

    def first(self, mask: np.ndarray) -> str:
        return self.cells[int(np.argmax(mask))]

    @property
    def only_point(self) -> np.ndarray:
        return self.point & ~self.comma

    @property
    def only_comma(self) -> np.ndarray:
        return self.comma & ~self.point


def _choose_decimal(readings: _Readings, evidence: Callable[[], Evidence]) -> str:
    """The decimal mark of a column.

    Raises:
        AmbiguousNumberError: If it does not follow.
    """
    with_point, with_comma = readings.having("."), readings.having(",")
    either = readings.point & readings.comma
    points, commas = either & with_point, either & with_comma  # 1.171 and 1,171
    for here, there in ((readings.only_point, readings.only_comma), (points, commas)):
        if here.any() and there.any():
            raise _mixed(readings.first(here), readings.first(there))
    if readings.only_point.any():
        if commas.any() and not (readings.only_point & with_comma).any():
            raise _ambiguous(readings.first(commas))
        return "."
    if readings.only_comma.any():
        if points.any() and not (readings.only_comma & with_point).any():
            raise _ambiguous(readings.first(points))
        return ","
    if not (points.any() or commas.any()):
        return "."
    found = evidence()
    if commas.any():
        if found.commas and not found.points:
            return ","
        raise _ambiguous(readings.first(commas))
    bare = any(cell.lstrip("+-").isdigit() for cell in readings.cells)  # 919 beside 1.171: one has no decimals
    if found.commas or (not found.points and (found.semicolons or bare)):
        raise _ambiguous(readings.first(points))
    return "."


def _ambiguous(cell: str) -> AmbiguousNumberError:
    if "." in cell:
        whole, options = cell.replace(".", ""), "data.decimal=comma data.thousands=point, or data.decimal=point"
    else:
        whole, options = cell.replace(",", ""), "data.decimal=comma, or data.decimal=point data.thousands=comma"
    fraction = cell.replace(",", ".")
    return AmbiguousNumberError(
        f"{cell!r} may be {whole} or {fraction}", cell, f"set {options}", f"write {whole} or {fraction}0"
    )


def _mixed(point: str, comma: str) -> AmbiguousNumberError:
    alike = "write all of them alike"
    options = f"{alike} (data.decimal=point or data.decimal=comma lists the others)"
    return AmbiguousNumberError(f"{comma!r} has other marks than {point!r} in the same column", comma, options, alike)


def _matches(cells: Sequence[str], decimal: str, thousands: str) -> np.ndarray:
    """Which cells are numbers with a decimal mark, and with one of some thousands marks or none."""
    d = re.escape(decimal)
    pattern = rf"[+-]?(?:\d+(?:{d}\d*)?|{d}\d+)(?:[eE][+-]?\d+)?"
    if thousands:
        pattern += rf"|[+-]?[1-9]\d{{0,2}}(?P<mark>[{re.escape(thousands)}])\d{{3}}(?:(?P=mark)\d{{3}})*(?:{d}\d*)?"
    compiled = re.compile(pattern, re.ASCII)
    return np.fromiter((compiled.fullmatch(cell) is not None for cell in cells), dtype=bool, count=len(cells))
