"""Tables for spreadsheet programs, which run cells that begin with = + - or @ as formulas."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def without_formulas(table: "pd.DataFrame") -> "pd.DataFrame":
    """A copy whose texts are no formulas: `'` is put before those that begin like one; numbers stay as they are."""
    changed = table.rename(columns=escaped)
    for position, kind in enumerate(changed.dtypes):
        if kind.kind in "OUST" or str(kind) in ("string", "str"):
            column = changed.columns[position]
            changed[column] = [escaped(cell) for cell in changed.iloc[:, position]]
    return changed


def escaped(cell: object) -> object:
    """A cell with `'` before it if it is a text that a spreadsheet program would run.

    >>> escaped("=1+2"), escaped("@a"), escaped("-1.5"), escaped("a=b"), escaped(-1)
    ("'=1+2", "'@a", '-1.5', 'a=b', -1)
    """
    if not isinstance(cell, str) or not cell.startswith(_BEGIN_FORMULAS):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell if cell[0] in "+-" else f"'{cell}"
