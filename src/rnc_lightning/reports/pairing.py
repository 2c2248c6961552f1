"""Find the row of the head alone that a method's row is compared with."""

from collections.abc import Sequence

from rnc_lightning.reports.rows import Row

# Overrides without effect on the head alone, trained end to end with nothing added.
_UNUSED_ALONE = (
    "recipe.pretrain", "recipe.linear_probe", "recipe.fine_tune", "recipe.objective_lr",
    "objective", "regularizer", "regularizers", "weighting", "calibration",
)  # fmt: skip


def find_head_alone(row: Row, rows: Sequence[Row]) -> tuple[Row | None, str]:
    """Find the row of the same head, trained end to end with nothing added, on the same data with the same variant.

    If no such row has the same overrides, those that only affect stage one, what follows it, or what was added are
    ignored, then also learning rates (`recipe.<scheme>.lr`), which are tuned for each method.

    Returns:
        The row and an empty reason, or None and the reason. A row with a reason shares no seed with `row`.
    """
    alone = [other for other in rows if other.is_head_alone and other.head == row.head and other.finished]
    if not alone:
        return None, "the head alone has no finished run"
    if row.fingerprint is None:
        return None, "its runs do not record their data"
    alone = [other for other in alone if other.fingerprint == row.fingerprint]
    if not alone:
        return None, "the head alone was run on other data only"
    shared = tuple(option for option in row.variant if not _is_unused_alone(option))
    candidates = [[other for other in alone if other.variant == variant] for variant in (row.variant, shared)]
    comparable = _comparable_options(row.variant)
    for matching in (*candidates, [other for other in alone if _comparable_options(other.variant) == comparable]):
        if len(matching) == 1:
            common = set(matching[0].finished) & set(row.finished)
            return matching[0], "" if common else "it shares no seed with the head alone"
        if matching:
            return None, f"the head alone has {len(matching)} settings under the same name"
    return None, f"the head alone has no run with the same overrides ({', '.join(shared) or 'none'})"


def _comparable_options(variant: Sequence[str]) -> list[str]:
    """Return the overrides that two rows must share to be compared."""
    return [option for option in variant if not _is_unused_alone(option) and not _is_learning_rate(option)]


def _is_learning_rate(option: str) -> bool:
    key = option.partition("=")[0]
    return key.startswith("recipe.") and key.endswith(".lr")


def _is_unused_alone(option: str) -> bool:
    key = option.partition("=")[0]
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in _UNUSED_ALONE)
