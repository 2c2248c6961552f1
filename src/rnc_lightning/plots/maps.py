"""Maps of feature spaces side by side, coloured by target and below by a nuisance."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rnc_lightning.plots.projection import pca, plot_projection
from rnc_lightning.plots.style import house_style, new_figure, save_figure

_MOST_NAMES = 10  # colours that can be told apart; what is rarer is grey


@dataclass(frozen=True)
class Map:
    """One feature space.

    Attributes:
        title: The method.
        features: (n, F).
        targets: (n,).
        label: What the targets are.
        nuisance: A name, and its value (n,) for each sample; None: there is none.
    """

    title: str
    features: np.ndarray
    targets: np.ndarray
    label: str
    nuisance: tuple[str, np.ndarray] | None = None


def save_maps(maps: Sequence[Map], path: Path) -> Path:
    """Draw principal components of each, and where there is a nuisance the same points coloured by it."""
    two = any(drawn.nuisance is not None for drawn in maps)
    limits = (min(float(m.targets.min()) for m in maps), max(float(m.targets.max()) for m in maps))
    with house_style():
        figure = new_figure(3.9 * len(maps) + 1.2, 3.8 * (1 + two))
        grid = figure.subplots(1 + two, len(maps), squeeze=False)
        for column, drawn in enumerate(maps):
            points, shares = pca(drawn.features)
            colours = plot_projection(grid[0][column], points, drawn.targets, drawn.label, drawn.title, shares, limits)
            if drawn.nuisance is not None:
                _by_name(grid[1][column], points, *drawn.nuisance)
        bar = figure.colorbar(colours, ax=list(grid[0]), label=maps[0].label, aspect=30, pad=0.02)
        bar.outline.set_visible(False)
        if two:
            _legend(grid[1], maps)
        return save_figure(figure, path)


def _by_name(axes: Axes, points: np.ndarray, name: str, values: np.ndarray) -> None:
    shown = _names(values)
    order = np.random.default_rng(0).permutation(len(points))
    colours = np.array([_colour(shown, value) for value in values], dtype=object)
    size = float(np.clip(12000 / len(points), 4, 30))
    axes.scatter(points[order, 0], points[order, 1], c=list(colours[order]), s=size, linewidths=0)
    axes.set_aspect("equal", adjustable="datalim")
    axes.locator_params(nbins=5)
    axes.set_title(f"the same, by {name}")


def _legend(row: Sequence[Axes], maps: Sequence[Map]) -> None:
    drawn = maps[-1].nuisance
    assert drawn is not None
    shown = _names(drawn[1])
    handles = [Line2D([], [], marker="o", linestyle="", color=_colour(shown, name), label=name) for name in shown]
    if len(set(drawn[1])) > len(shown):
        handles.append(Line2D([], [], marker="o", linestyle="", color="#cccccc", label="others"))
    row[-1].legend(handles=handles, title=drawn[0], loc="center left", bbox_to_anchor=(1.02, 0.5), fontsize=8)


def _names(values: np.ndarray) -> list[str]:
    names, counts = np.unique(values, return_counts=True)
    most = names[np.argsort(-counts, kind="stable")[:_MOST_NAMES]]
    return sorted(map(str, most), key=lambda name: (len(name), name))


def _colour(shown: Sequence[str], value: str) -> str:
    return mpl.colors.to_hex(mpl.colormaps["tab10"](shown.index(str(value)))) if str(value) in shown else "#cccccc"
