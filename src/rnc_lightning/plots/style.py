"""Shared by all figures: style, labels, saving."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from rnc_lightning.system.files import write_atomically

DPI = 150
BLUE = "#2a5b8c"
GREY = "#8a8a8a"

_STYLE: Any = {
    "font.size": 10.0,
    "axes.titlesize": 11.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "axes.edgecolor": "#555555",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "xtick.labelcolor": "black",
    "ytick.labelcolor": "black",
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "figure.constrained_layout.wspace": 0.06,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Apply the style of this package's figures to everything drawn in the `with` block."""
    with mpl.rc_context(_STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure, size in inches, that needs neither pyplot nor a display."""
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure atomically, in the format of the path's suffix, and create missing folders."""
    path = Path(path)
    write_atomically(path, lambda temporary: figure.savefig(temporary, dpi=DPI))
    return path


def with_unit(name: str, unit: str) -> str:
    """Return an axis label.

    Example:
        >>> with_unit("age", "years"), with_unit("quality", "")
        ('age (years)', 'quality')
    """
    return f"{name} ({unit})" if unit else name


def as_columns(values: Any, name: str) -> np.ndarray:
    """Return targets or predictions as an (n, D) float64 array; (n,) becomes (n, 1).

    Raises:
        ValueError: if there are more dimensions or no samples.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.size == 0:
        raise ValueError(f"{name} must be (n,) or (n, D) with at least one sample, got shape {array.shape}")
    return array


def check_labels(columns: int, names: Sequence[str], units: Sequence[str]) -> None:
    """Raise ValueError unless there is a name and a unit for each column."""
    if len(names) != columns or len(units) != columns:
        raise ValueError(
            f"names and units need one entry per target dimension ({columns}), "
            f"got {len(names)} names and {len(units)} units; use an empty string for no unit"
        )
