"""Line plots of an error against a level (severity, number of samples), measured and published."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from rnc_lightning.plots.style import BLUE, house_style, new_figure, save_figure

METHOD_COLOURS = ("#b5651d", BLUE, "#3c7a57", "#7b5ea7", "#8a8a8a")  # the baseline first


@dataclass(frozen=True)
class Panel:
    """Contents of one panel.

    Attributes:
        title: Its title.
        x: Label of the x axis (the levels).
        y: Label of the y axis (the values).
        lines: Label -> level -> values over seeds (or one published value).
        logarithmic: Whether the x axis is logarithmic.
    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Mapping[float, Sequence[float]]]
    logarithmic: bool = False


def save_level_figure(panels: Sequence[Panel], path: Path) -> Path:
    """Draw panels side by side; bands show the range over seeds."""
    with house_style():
        figure = new_figure(4.3 * len(panels), 3.6)
        for axes, panel in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
            draw_levels(axes, panel)
        return save_figure(figure, path)


def draw_levels(axes: Axes, panel: Panel) -> None:
    """Draw one line per method, its mean over seeds at each level, with the range over seeds as a band."""
    levels = sorted({level for line in panel.lines.values() for level in line})
    for colour, (label, line) in zip(METHOD_COLOURS * 3, panel.lines.items(), strict=False):
        x = sorted(level for level, values in line.items() if len(values))
        axes.plot(x, [float(np.mean(line[level])) for level in x], "o-", color=colour, label=label, markersize=4)
        low, high = ([float(f(line[level])) for level in x] for f in (np.min, np.max))
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
    if panel.logarithmic:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(levels))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([f"{level:,g}" if level < 1e4 else f"{level / 1000:g}k" for level in levels])
    axes.set_title(panel.title)
    axes.set_xlabel(panel.x)
    axes.set_ylabel(panel.y)
    axes.legend()
