"""What the writers refuse, in one line each."""

from collections.abc import Sequence

from rnc_lightning.system.errors import UserError


def check_samples(samples: int, fewest: int) -> None:
    """Refuse counts that leave a split or a person empty.

    Raises:
        UserError: For fewer samples than the data set's layout needs.
    """
    if samples < fewest:
        raise UserError(f"samples: this data set needs at least {fewest}, got {samples}")


def check_size(size: int, smallest: int = 16) -> None:
    """Refuse pictures that are too small to show anything.

    Raises:
        UserError: For a size below the smallest.
    """
    if size < smallest:
        raise UserError(f"size: pictures need at least {smallest} pixels a side, got {size}")


def check_layout(layout: str, known: Sequence[str]) -> None:
    """Refuse a layout in which the data set does not come.

    Raises:
        UserError: For an unknown layout.
    """
    if layout not in known:
        raise UserError(f"layout: this data set comes as {' or '.join(known)}, got {layout!r}")
