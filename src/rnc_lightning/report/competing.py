"""The paper's table of competing methods: which rows stand in it, in which groups and in which order."""

from rnc_lightning.report.names import END_TO_END, FINE_TUNE, LINEAR_PROBE, place, row_order
from rnc_lightning.report.rows import Row

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
