"""Checks of the writers' arguments."""

from collections.abc import Sequence
from importlib.util import find_spec

from rnc_lightning.system.errors import UserError

_LEAST_SIZE = 16  # a smaller picture shows nothing


def check_arguments(
    samples: int, least: int, size: int | None = None, layout: str | None = None, layouts: Sequence[str] = ()
) -> None:
    """Check the arguments that several writers share.

    Args:
        samples: Number of samples.
        least: Smallest number that leaves no split and no person empty.
        size: Side of the pictures in pixels; None: there are no pictures.
        layout: Layout of the files; None: there is only one.
        layouts: The layouts that the data set comes in.

    Raises:
        UserError: For too few samples, a size below 16 or an unknown layout.
    """
    if samples < least:
        raise UserError(f"samples: this data set needs at least {least}, got {samples}")
    if size is not None and size < _LEAST_SIZE:
        raise UserError(f"size: pictures need at least {_LEAST_SIZE} pixels a side, got {size}")
    if layout is not None and layout not in layouts:
        raise UserError(f"layout: this data set comes as {' or '.join(layouts)}, got {layout!r}")


def check_package(package: str, files: str, extra: str) -> None:
    """Check that an optional package is installed.

    Raises:
        UserError: Where it is missing, with the command that installs it.
    """
    if find_spec(package) is None:
        raise UserError(f"{files} files need {package}: pip install 'rnc-lightning[{extra}]'")
