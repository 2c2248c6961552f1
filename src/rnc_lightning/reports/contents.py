"""Which tables a data set has and the rows of each, those that nobody ran included."""

from collections.abc import Iterable, Sequence

from rnc_lightning.reports.names import END_TO_END, FINE_TUNE, LINEAR_PROBE, place, row_order
from rnc_lightning.reports.published import PublishedRow, competing_rows, published_rows
from rnc_lightning.reports.rows import Row

REGRESSION = "regression methods"  # the heads, alone and on RnC
COMPETING = "competing methods"
_IN_BOTH: tuple[PublishedRow, ...] = (("l1", "l1", END_TO_END, ()), ("rnc", "l1", LINEAR_PROBE, ()))


def contents(dataset: str, rows: Sequence[Row], heads: Iterable[str]) -> dict[str, list[Row]]:
    """The kind of each table -> its rows, in order.

    The competing methods have a table where one of them was run; the regression methods have theirs, unless it held
    nothing but what stands in that table too.

    Args:
        dataset: Its name.
        rows: Those of its runs.
        heads: Those that the regression methods' table lists, run or not.
    """
    found: dict[str, list[Row]] = {}
    second = any(map(is_competing, rows))
    first = [row for row in rows if not is_competing(row)]
    if not second or not all(map(is_common, first)):
        wanted = [row for head in heads for row in ((head, head, END_TO_END, ()), ("rnc", head, LINEAR_PROBE, ()))]
        missing = _missing(dataset, rows, [*wanted, *published_rows(dataset)])
        found[REGRESSION] = sorted([*first, *missing], key=lambda row: row.order)
    if second:
        missing = _missing(dataset, rows, [*_IN_BOTH, *competing_rows(dataset)])
        own = [row for row in rows if is_competing(row) or is_common(row)]
        found[COMPETING] = sorted([*own, *missing], key=competing_order)
    return found


def listed_heads(rows: Iterable[Row]) -> list[str]:
    """The heads that the regression methods' tables list."""
    return sorted({row.head for row in rows if not is_competing(row)})


def _missing(dataset: str, rows: Sequence[Row], wanted: Sequence[PublishedRow]) -> list[Row]:
    """A row for each that is wanted and that no run here belongs to."""
    present = {(row.name, row.scheme) for row in rows}
    candidates = [Row(dataset, *row) for row in dict.fromkeys(wanted)]
    return [row for row in candidates if (row.name, row.scheme) not in present]


GROUPS = ("Linear probing", "Fine-tuning", "Regression methods", "Rank-N-Contrast")
_PROBED, _TUNED, _REGRESSION, _RNC = GROUPS

# Both in the paper's order, then what goes beyond it.
_REPRESENTATIONS = ("simclr", "dino", "supcon", "supremix")

_REGRESSION_METHODS = (
    "l1", "lds_fds", "l2cs_net", "lde", "ranksim", "ordinal_entropy", "lds", "fds", "conr", "balanced_mse", "rnc",
)  # fmt: skip

_HEADS = ("l2cs_net", "lde", "balanced_mse")


def is_competing(row: Row) -> bool:
    """Whether a row stands in this table and not in the one of regression methods alone and on RnC."""
    other_representation = row.scheme != END_TO_END and row.method != "rnc"
    return bool(row.extras) or row.head in _HEADS or other_representation


def is_common(row: Row) -> bool:
    """Whether a row stands in both tables: L1 alone, and RnC(L1) under any scheme."""
    return row.head == "l1" and not is_competing(row)


def group_of(row: Row) -> str:
    """The heading that a row stands under."""
    if row.scheme == LINEAR_PROBE:
        return _RNC if is_common(row) else _PROBED
    return _TUNED if row.scheme == FINE_TUNE else _REGRESSION


def competing_order(row: Row) -> tuple[object, ...]:
    """Sorts the rows of one data set as the paper does."""
    group = group_of(row)
    if group == _REGRESSION:
        named = (False, *place(_REGRESSION_METHODS, "rnc" if _is_regularizer(row) else row.name))
    else:
        named = (row.method == "rnc", *place(_REPRESENTATIONS, row.method))
    names = row_order(row.method, row.head, row.scheme)
    return (GROUPS.index(group), *named, *names, row.extras, *row.details_order)


def _is_regularizer(row: Row) -> bool:
    """Whether RnC was added to L1, by its scheme rather than by name."""
    return is_common(row) and row.scheme != END_TO_END
