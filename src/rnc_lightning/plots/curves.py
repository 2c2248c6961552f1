"""Curves over epochs: losses, metrics and the learning rate, one small panel each."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.plots.style import BLUE, GREY, house_style, new_figure, save_figure

if TYPE_CHECKING:
    import pandas as pd

_FLOOR = "_floor"
_FEW_POINTS = 12  # up to this many points get markers
_STEPS = [1, 2, 2.5, 5, 10]  # ticks at round numbers


def save_curves(history: "pd.DataFrame", path: str | Path, title: str = "") -> Path:
    """Write one small panel per metric over the epochs.

    `<name>_floor`, the lowest value that a loss can take, is drawn in the panel of `<name>`. The last value
    is shown in the corner of its panel. Columns without finite numbers are skipped; lines connect across gaps, as
    when validation runs every few epochs.

    Args:
        history: one row per epoch: `epoch`, and columns such as `train/loss`, `val/mae`, `lr`.
        path: file to write.
        title: title of the figure.

    Returns:
        The path.

    Raises:
        ValueError: if there is no `epoch` column or nothing to draw.
    """
    panels = _panels(history)
    columns = min(3, len(panels)) if len(panels) != 4 else 2
    rows = math.ceil(len(panels) / columns)
    with house_style():
        figure = new_figure(3.5 * columns + 0.3, 2.3 * rows + (0.4 if title else 0.1))
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True).ravel()
        epochs = history["epoch"].to_numpy(dtype=np.float64)
        for axes, names in zip(grid, panels, strict=False):
            _draw_panel(axes, epochs, {name: history[name].to_numpy(dtype=np.float64) for name in names})
        first, last = epochs.min(), epochs.max()
        margin = 0.03 * (last - first) or 0.5
        for axes in grid[: len(panels)]:
            axes.set_xlim(first - margin, last + margin)
            axes.tick_params(labelbottom=True)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supxlabel("epoch", fontsize=10)
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=12)
        return save_figure(figure, path)


def _panels(history: "pd.DataFrame") -> list[list[str]]:
    """Columns of each panel: losses first, then the other metrics, the learning rate last."""
    if "epoch" not in history:
        raise ValueError(f"history needs a column 'epoch', got {list(history.columns)}")
    names = [
        str(name)
        for name in history.select_dtypes("number").columns
        if name != "epoch" and np.isfinite(history[name].to_numpy(dtype=np.float64)).any()
    ]
    if not names:
        raise ValueError("history contains no numbers to draw: every column except 'epoch' is empty")
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: name.endswith(_FLOOR)):  # stable: the loss comes before its floor
        groups.setdefault(name.removesuffix(_FLOOR), []).append(name)
    return sorted(groups.values(), key=lambda group: _rank(group[0]))


def _rank(name: str) -> tuple[int, str, str]:
    """Sort key: losses, everything else, learning rate; train and val of one metric next to each other."""
    stage, _, metric = name.rpartition("/")
    if metric == "lr" or metric.startswith("lr-"):
        return 3, metric, stage
    order = 0 if metric == "loss" else 1 if metric in ("excess", "loss_excess") else 2
    return order, metric, stage


def _draw_panel(axes: Axes, epochs: np.ndarray, series: dict[str, np.ndarray]) -> None:
    main, *rest = series
    for name, values in series.items():
        known = np.isfinite(values)
        axes.plot(
            epochs[known],
            values[known],
            color=BLUE if name == main else GREY,
            linestyle="-" if name == main else "--",
            linewidth=1.5,
            marker="o" if known.sum() <= _FEW_POINTS else "",
            markersize=4,
            label=name.rpartition("/")[2].replace("_", " "),
        )
    values = series[main]
    axes.set_title(main)
    last = format_number(values[np.isfinite(values)][-1], trim=True)
    axes.set_title(f"last {last}", loc="right", fontsize=9, color="#555555")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1, steps=_STEPS))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, steps=_STEPS))
    axes.margins(y=0.08)
    if rest:
        axes.legend()
