"""Which columns of your own table are inputs: numbers without another role, and no numbers of rows."""

import logging
import re
from collections.abc import Sequence

import numpy as np

from rnc_lightning.datasets.reading.numbers import MISSING_VALUES, has_sign, looks_like_number
from rnc_lightning.datasets.reading.tables import Table
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

_INDEX_NAME = re.compile(  # what pandas calls an index
    r"(unnamed[:_ ]*\d+([._]\d+|_level_\d+)*|__index_level_\d+__|)", re.IGNORECASE
)
_FEWEST = 3  # values; fewer are in order by chance


def is_index_name(name: str) -> bool:
    """Whether a column's name is what programs give to the numbers of the rows.

    >>> [is_index_name(name) for name in ("Unnamed: 0", "", "age")]
    [True, True, False]
    """
    return _INDEX_NAME.fullmatch(name) is not None


def numeric_columns(table: Table, others: Sequence[str], exclude: Sequence[str] = ()) -> list[str]:
    """The columns in which most of the non-empty cells are numbers, without index columns.

    A single text cell among numbers is a mistake in the data, which is reported later.

    Args:
        table: The table.
        others: Columns with another role.
        exclude: Columns that the user does not want.

    Raises:
        UserError: If there is no such column.
    """
    numeric: list[str] = []
    index: list[str] = []
    skipped: list[str] = []
    signed: list[str] = []
    for name in table.frame.columns:
        if name in others or name in exclude:
            continue
        if is_index_name(name):
            index.append(name or "(without a name)")
            continue
        texts = table.texts(name)
        filled = sum(text.lower() not in MISSING_VALUES for text in texts)
        numbers = sum(map(looks_like_number, texts))  # of other columns it does not matter how they are to be read
        if 2 * numbers > filled and 2 * int(np.isfinite(table.numbers(name)).sum()) > filled:
            numeric.append(name)
        elif 2 * sum(map(has_sign, texts)) > filled:
            signed.append(name)
        else:
            skipped.append(name)
    if signed:
        log.warning(
            "%s: columns of numbers with a sign of currency or percent are not used as inputs: %s. Write plain numbers",
            *(table.path.name, ", ".join(signed)),
        )
    if not numeric:
        raise UserError(f"{table.path} has no numeric column except {', '.join(others)}: there are no inputs")
    if skipped:
        log.info("%s: columns without numbers are not used as inputs: %s", table.path.name, ", ".join(skipped))
    if index:
        log.info("%s: columns of row numbers are not used as inputs: %s", table.path.name, ", ".join(index))
    return numeric


def follows_row_order(values: np.ndarray) -> bool:
    """Whether a column (N,) numbers the rows: it never falls, or never rises, or is a permutation of whole numbers.

    NaNs are passed over. Columns with fewer than three different values never count.

    >>> [follows_row_order(np.array(v)) for v in ([3, 5, 9.5], [2, 1, 1, 0], [2, 4, 3, 1, 0], [1, 3, 2], [0, 0, 1])]
    [True, True, True, False, False]
    """
    found = values[np.isfinite(values)]
    distinct = np.unique(found)
    if len(distinct) < _FEWEST:
        return False
    steps = np.diff(found)
    if (steps >= 0).all() or (steps <= 0).all():
        return True
    counts = len(distinct) == len(found) and bool((np.diff(distinct) == 1).all())
    return counts and len(found) > _FEWEST


def warn_of_row_numbers(values: np.ndarray, names: Sequence[str], table: str) -> None:
    """Warn of the inputs (N, F), in the order of the table's rows, that may be numbers of rows."""
    if found := [name for name, column in zip(names, values.T, strict=True) if follows_row_order(column)]:
        log.warning(
            "%s: the input %s follows the order of the rows. If it numbers them, it says nothing about new data, and "
            "in a table sorted by the target it gives the target away: leave it out with 'data.exclude=[%s]'",
            *(table, ", ".join(found), ",".join(found)),
        )
