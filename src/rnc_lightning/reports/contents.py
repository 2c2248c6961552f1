"""Which tables a data set has, and the rows of each, including rows that were never run."""

from collections.abc import Iterable, Sequence

from rnc_lightning.reports.names import END_TO_END, FINE_TUNE, LINEAR_PROBE, rank_in, row_order
from rnc_lightning.reports.published import PublishedRow, competing_rows, published_rows
from rnc_lightning.reports.rows import Row

REGRESSION = "regression methods"  # the heads, alone and on RnC
COMPETING = "competing methods"
_IN_BOTH: tuple[PublishedRow, ...] = (("l1", "l1", END_TO_END, ()), ("rnc", "l1", LINEAR_PROBE, ()))


def rows_by_table(dataset: str, rows: Sequence[Row], heads: Iterable[str]) -> dict[str, list[Row]]:
    """Return the kind of each table -> its rows, in order.

    There is a table of competing methods if one of them was run. There is a table of regression methods unless all its
    rows are in the table of competing methods too.

    Args:
        dataset: Name of the data set.
        rows: The rows of its runs.
        heads: Heads that the table of regression methods lists, run or not.
    """
    tables: dict[str, list[Row]] = {}
    has_competing = any(map(is_competing, rows))
    regression = [row for row in rows if not is_competing(row)]
    if not has_competing or not all(map(is_common, regression)):
        wanted = [row for head in heads for row in ((head, head, END_TO_END, ()), ("rnc", head, LINEAR_PROBE, ()))]
        missing = _missing_rows(dataset, rows, [*wanted, *published_rows(dataset)])
        tables[REGRESSION] = sorted([*regression, *missing], key=lambda row: row.order)
    if has_competing:
        missing = _missing_rows(dataset, rows, [*_IN_BOTH, *competing_rows(dataset)])
        competing = [row for row in rows if is_competing(row) or is_common(row)]
        tables[COMPETING] = sorted([*competing, *missing], key=competing_order)
    return tables


def listed_heads(rows: Iterable[Row]) -> list[str]:
    """Return the heads that the tables of regression methods list."""
    return sorted({row.head for row in rows if not is_competing(row)})


def _missing_rows(dataset: str, rows: Sequence[Row], wanted: Sequence[PublishedRow]) -> list[Row]:
    """Return an empty row for each wanted row that has no run."""
    present = {(row.name, row.scheme) for row in rows}
    candidates = [Row(dataset, *row) for row in dict.fromkeys(wanted)]
    return [row for row in candidates if (row.name, row.scheme) not in present]


GROUPS = ("Linear probing", "Fine-tuning", "Regression methods", "Rank-N-Contrast")
_PROBED, _TUNED, _REGRESSION, _RNC = GROUPS

# In the paper's order, then methods that are not in the paper.
_REPRESENTATIONS = ("simclr", "dino", "supcon", "supremix")

_REGRESSION_METHODS = (
    "l1", "lds_fds", "l2cs_net", "lde", "ranksim", "ordinal_entropy", "lds", "fds", "conr", "balanced_mse", "rnc",
)  # fmt: skip

_HEADS = ("l2cs_net", "lde", "balanced_mse")


def is_competing(row: Row) -> bool:
    """Whether a row is in the table of competing methods only."""
    other_representation = row.scheme != END_TO_END and row.method != "rnc"
    return bool(row.extras) or row.head in _HEADS or other_representation


def is_common(row: Row) -> bool:
    """Whether a row is in both tables: L1 alone, and RnC(L1) under any scheme."""
    return row.head == "l1" and not is_competing(row)


def group_of(row: Row) -> str:
    """Return the heading of a row's group in the table of competing methods."""
    if row.scheme == LINEAR_PROBE:
        return _RNC if is_common(row) else _PROBED
    return _TUNED if row.scheme == FINE_TUNE else _REGRESSION


def competing_order(row: Row) -> tuple[object, ...]:
    """Sort key of the rows of one data set, in the paper's order."""
    group = group_of(row)
    if group == _REGRESSION:
        is_regularizer = is_common(row) and row.scheme != END_TO_END  # RnC added to L1, by its scheme not by its name
        named = (False, *rank_in(_REGRESSION_METHODS, "rnc" if is_regularizer else row.name))
    else:
        named = (row.method == "rnc", *rank_in(_REPRESENTATIONS, row.method))
    names = row_order(row.method, row.head, row.scheme)
    return (GROUPS.index(group), *named, *names, row.extras, *row.details_order)
