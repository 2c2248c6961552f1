"""Projections of several feature sets side by side, coloured by target and, in a second row, by a group of samples."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rnc_lightning.plots.projection import Method, add_colour_bar, plot_projection, project, scatter_points
from rnc_lightning.plots.style import as_columns, house_style, new_figure, save_figure

_MOST_GROUPS = 10  # as many colours as are easy to distinguish; samples of rarer groups are grey
_OTHERS = "#cccccc"


def save_projection_comparison(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]],
    path: str | Path,
    label: str,
    subtitles: Mapping[str, str] | None = None,
    method: Method = "pca",
    seed: int = 0,
    groups: tuple[str, Mapping[str, np.ndarray]] | None = None,
) -> Path:
    """Write projections of several feature sets side by side, with one colour scale for all.

    Args:
        panels: title to features (n, F) and targets (n,) or (n, 1). Each set is projected separately.
        path: file to write.
        label: what the colours mean, with unit.
        subtitles: title to a short second line, such as "MAE 6.1".
        method: "pca" or "umap".
        seed: for UMAP.
        groups: what the samples are grouped by, such as "camera", and title to the group of each sample (n,); a
            second row then shows the same points coloured by group.

    Returns:
        The path.

    Raises:
        ValueError: if there are no panels, a subtitle has no panel, or the shapes do not fit.
        ImportError: for "umap" if `umap-learn` is not installed.
    """
    if not panels:
        raise ValueError("panels must contain at least one entry: title -> (features, targets)")
    if unknown := set(subtitles or {}) - set(panels):
        raise ValueError(f"subtitles name unknown panels: {sorted(unknown)}")
    colours = {title: as_columns(targets, f"targets of {title!r}") for title, (_, targets) in panels.items()}
    limits = (min(float(c.min()) for c in colours.values()), max(float(c.max()) for c in colours.values()))
    rows = 1 if groups is None else 2
    with house_style():
        figure = new_figure(3.9 * len(panels) + 0.9, 0.3 + 3.8 * rows)
        grid = figure.subplots(rows, len(panels), squeeze=False)
        for column, (title, (features, _)) in zip(grid.T, panels.items(), strict=True):
            points, shares = project(features, method, seed)
            heading = "\n".join(line for line in (title, (subtitles or {}).get(title, "")) if line)
            drawn = plot_projection(column[0], points, colours[title], heading, shares, limits)
            if groups is not None:
                _plot_groups(column[1], points, groups[0], groups[1][title])
        add_colour_bar(drawn, list(grid[0]), label)
        if groups is not None:
            _add_legend(grid[1, -1], groups[0], groups[1][title])
        return save_figure(figure, path)


def _plot_groups(axes: Axes, points: np.ndarray, name: str, values: np.ndarray) -> None:
    colours = _group_colours(values)
    scatter_points(axes, points, np.array([colours.get(str(value), _OTHERS) for value in values]))
    axes.set_title(f"the same, by {name}")


def _add_legend(axes: Axes, name: str, values: np.ndarray) -> None:
    colours = _group_colours(values)
    if len(set(values)) > len(colours):
        colours["others"] = _OTHERS
    handles = [Line2D([], [], marker="o", linestyle="", color=colour, label=group) for group, colour in colours.items()]
    axes.legend(handles=handles, title=name, loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)


def _group_colours(values: np.ndarray) -> dict[str, str]:
    """Group -> colour, of the most frequent groups, shorter names first."""
    names, counts = np.unique(values, return_counts=True)
    most = names[np.argsort(-counts, kind="stable")[:_MOST_GROUPS]]
    ordered = sorted(map(str, most), key=lambda name: (len(name), name))
    return {name: mpl.colors.to_hex(mpl.colormaps["tab10"](index)) for index, name in enumerate(ordered)}
