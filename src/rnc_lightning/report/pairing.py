"""Which row of the head alone a representation's row is compared with."""

from collections.abc import Sequence

from rnc_lightning.report.names import END_TO_END
from rnc_lightning.report.rows import Row

# Overrides that the head alone, trained end to end, has no use for.
_STAGE_ONE_ONLY = ("recipe.pretrain", "recipe.linear_probe", "recipe.fine_tune", "objective")


def row_alone(row: Row, rows: Sequence[Row]) -> tuple[Row | None, str]:
    """The row of the same head end to end, on the same data and with the same variant.

    Overrides that only shape stage one or what follows it are left out of the comparison where no row has them.

    Returns:
        The row and an empty reason, or None and why there is none.
    """
    alone = [other for other in rows if other.scheme == END_TO_END and other.head == row.head and other.finished]
    if not alone:
        return None, "the head alone has no finished run"
    if row.fingerprint is None:
        return None, "its runs do not say which data they saw"
    alone = [other for other in alone if other.fingerprint == row.fingerprint]
    if not alone:
        return None, "the head alone was run on other data"
    shared = tuple(word for word in row.variant if not _stage_one_only(word))
    for variant in dict.fromkeys((row.variant, shared)):
        matching = [other for other in alone if other.variant == variant]
        if len(matching) == 1:
            common = set(matching[0].finished) & set(row.finished)
            return matching[0], "" if common else "it shares no seed with the head alone"
        if matching:
            return None, f"the head alone has {len(matching)} settings under one name"
    return None, f"the head alone has no run with the same overrides ({', '.join(shared) or 'none'})"


def _stage_one_only(word: str) -> bool:
    key = word.partition("=")[0]
    return any(key == prefix or key.startswith(f"{prefix}.") for prefix in _STAGE_ONE_ONLY)
