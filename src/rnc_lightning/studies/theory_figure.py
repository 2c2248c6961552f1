"""The paper's theorems in one figure: the floor holds, ordered features reach it, training moves towards it."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rnc_lightning.plots.style import BLUE, GREY, house_style, new_figure, save_figure
from rnc_lightning.studies.loss_floor import NOISE, ORDERED

_EXCESS = "loss $-$ L*"
_STEPS = [1, 2, 2.5, 5, 10]  # ticks at round numbers


def save_theory_figure(
    random_batches: pd.DataFrame, ordered: pd.DataFrame, training: pd.DataFrame, path: str | Path
) -> Path:
    """Write three panels: random batches, features in label order, and a training run.

    Args:
        random_batches: From `random_batch_excess`.
        ordered: From `ordered_excess`.
        training: From `training_history`.
        path: File to write.

    Returns:
        The path.
    """
    with house_style():
        figure = new_figure(12.0, 3.9)
        grid = figure.add_gridspec(2, 3)
        _draw_batches(figure.add_subplot(grid[:, 0]), random_batches)
        _draw_ordered(figure.add_subplot(grid[:, 1]), ordered)
        above = figure.add_subplot(grid[0, 2])
        _draw_training(above, figure.add_subplot(grid[1, 2], sharex=above), training)
        return save_figure(figure, path)


def _draw_batches(axes: Axes, batches: pd.DataFrame) -> None:
    """One dot per batch, by its number of rows; batches below 0 are drawn at the lower edge and counted."""
    rows = batches["samples"] * batches["views"]
    sizes = sorted(rows.unique())
    excess = batches["excess"].to_numpy(dtype=np.float64)
    lowest = 0.3 * excess[excess > 0].min()
    jitter = np.random.default_rng(0).uniform(-0.16, 0.16, len(batches))
    for kind, colour, shift in ((NOISE, GREY, -0.2), (ORDERED, BLUE, 0.2)):
        chosen = (batches["features"] == kind).to_numpy()
        x = np.array([sizes.index(n) for n in rows[chosen]]) + shift + jitter[chosen]
        axes.scatter(x, np.maximum(excess[chosen], lowest), s=9, color=colour, alpha=0.6, linewidths=0, label=kind)
    axes.set_yscale("log")
    axes.set_ylim(lowest, 8 * excess.max())
    axes.set_xticks(range(len(sizes)), [str(n) for n in sizes])
    axes.set_xlabel("rows of the batch")
    axes.set_ylabel(_EXCESS)
    axes.set_title(f"(a) {len(excess)} random batches: {int((excess < 0).sum()) or 'none'} below L*")
    axes.text(0.02, 0.02, f"least {excess.min():.2g}", transform=axes.transAxes, fontsize=9, color="#555555")
    axes.legend(loc="upper left", ncols=2, markerscale=2, handletextpad=0.2, columnspacing=1)


def _draw_ordered(axes: Axes, ordered: pd.DataFrame) -> None:
    """Excess and its bound over 1 / delta."""
    styles = (("s", GREY, "-", 3.0), ("o", BLUE, "--", 1.2))  # one bound may cover the other
    for (kind, rows), (marker, colour, line, width) in zip(ordered.groupby("labels", sort=False), styles, strict=True):
        axes.plot(rows["inverse_delta"], rows["excess"], marker, color=colour, markersize=4, label=str(kind))
        axes.plot(rows["inverse_delta"], rows["bound"], line, color=colour, linewidth=width, alpha=0.6, label="bound")
    axes.set_yscale("log")
    axes.set_xlabel(r"1 / $\delta$ of the features' order")
    axes.set_ylabel(_EXCESS)
    axes.set_title("(b) features in the order of their labels")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, steps=_STEPS))
    axes.legend()


def _draw_training(above: Axes, below: Axes, training: pd.DataFrame) -> None:
    """Excess over the epochs, and below it the ordinality of the features."""
    for axes, name, label in ((above, "excess", _EXCESS), (below, "spearman", "Spearman")):
        known = training[training[name].notna()]
        few = len(known) <= 20
        axes.plot(known["epoch"], known[name], color=BLUE, linewidth=1.5, marker="o" if few else "", markersize=4)
        axes.set_ylabel(label)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=4, steps=_STEPS))
        axes.margins(y=0.1)
    above.set_title("(c) a training run")
    above.tick_params(labelbottom=False)
    below.set_xlabel("epoch")
    below.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1, steps=_STEPS))
