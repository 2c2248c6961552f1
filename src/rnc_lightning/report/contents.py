"""Which tables a data set has and the rows of each, those that nobody ran included."""

from collections.abc import Iterable, Sequence

from rnc_lightning.report.competing import competing_order, is_common, is_competing
from rnc_lightning.report.names import END_TO_END, LINEAR_PROBE
from rnc_lightning.report.published import PublishedRow, competing_rows, published_rows
from rnc_lightning.report.rows import Row

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
