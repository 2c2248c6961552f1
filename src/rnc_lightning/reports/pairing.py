"""Which row of the head alone a method's row is compared with."""

from collections.abc import Sequence

from rnc_lightning.reports.rows import Row

# Overrides that the head alone, trained end to end with nothing added, has no use for.
_UNUSED_ALONE = (
    "recipe.pretrain", "recipe.linear_probe", "recipe.fine_tune", "recipe.objective_lr",
    "objective", "regularizer", "regularizers", "weighting", "calibration",
)  # fmt: skip


def row_alone(row: Row, rows: Sequence[Row]) -> tuple[Row | None, str]:
    """The row of the same head end to end with nothing added, on the same data and with the same variant.

    Overrides that only shape stage one, what follows it or what was added are left out of the comparison where no row
    has them; so are learning rates (`recipe.<scheme>.lr`), which each method has tuned for itself.

    Returns:
        The row and an empty reason, or None and why there is none.
    """
    alone = [other for other in rows if other.is_head_alone and other.head == row.head and other.finished]
    if not alone:
        return None, "the head alone has no finished run"
    if row.fingerprint is None:
        return None, "its runs do not say which data they saw"
    alone = [other for other in alone if other.fingerprint == row.fingerprint]
    if not alone:
        return None, "the head alone was run on other data"
    shared = tuple(word for word in row.variant if not _unused_alone(word))
    candidates = [[other for other in alone if other.variant == variant] for variant in (row.variant, shared)]
    for matching in (*candidates, [other for other in alone if _common(other.variant) == _common(row.variant)]):
        if len(matching) == 1:
            common = set(matching[0].finished) & set(row.finished)
            return matching[0], "" if common else "it shares no seed with the head alone"
        if matching:
            return None, f"the head alone has {len(matching)} settings under one name"
    return None, f"the head alone has no run with the same overrides ({', '.join(shared) or 'none'})"


def _common(variant: Sequence[str]) -> list[str]:
    """Overrides that two methods must share to be compared."""
    return [word for word in variant if not _unused_alone(word) and not _is_rate(word)]


def _is_rate(word: str) -> bool:
    key = word.partition("=")[0]
    return key.startswith("recipe.") and key.endswith(".lr")


def _unused_alone(word: str) -> bool:
    key = word.partition("=")[0]
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in _UNUSED_ALONE)
