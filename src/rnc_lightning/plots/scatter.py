"""Predictions against targets."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.plots.style import (
    BLUE,
    GREY,
    as_columns,
    check_labels,
    house_style,
    new_figure,
    save_figure,
    with_unit,
)


def save_prediction_scatter(
    predictions: np.ndarray,
    targets: np.ndarray,
    path: str | Path,
    names: Sequence[str],
    units: Sequence[str],
    mae: float | Sequence[float | None] | None = None,
    note: str = "",
) -> Path:
    """Write a scatter plot of predictions against targets: one panel per target dimension, with the line y = x.

    Args:
        predictions: (n,) or (n, D), in the targets' units.
        targets: of the same shape as `predictions`; NaN for a missing label, which is not drawn.
        path: file to write.
        names: D names of the target dimensions.
        units: D units, empty strings for none.
        mae: for the titles: one number, or one per dimension (None for none).
        note: added to each title.

    Returns:
        The path.

    Raises:
        ValueError: if the shapes do not fit, or the targets contain infinity or no number.
    """
    predicted, true = as_columns(predictions, "predictions"), as_columns(targets, "targets")
    if predicted.shape != true.shape:
        raise ValueError(f"predictions and targets must have the same shape, got {predicted.shape} and {true.shape}")
    if np.isinf(true).any() or np.isnan(true).all():
        raise ValueError("targets contain infinity or no number: check how the data set reads them")
    dimensions = true.shape[1]
    check_labels(dimensions, names, units)
    titles = _titles(mae, units)
    with house_style():
        figure = new_figure(4.3 * dimensions, 4.4)
        panels = figure.subplots(1, dimensions, squeeze=False)[0]
        for d, axes in enumerate(panels):
            _draw(axes, predicted[:, d], true[:, d])
            axes.set_xlabel(f"target {with_unit(names[d], units[d])}")
            axes.set_ylabel(f"predicted {with_unit(names[d], units[d])}")
            axes.set_title(", ".join(text for text in (titles[d], note) if text))
        return save_figure(figure, path)


def _draw(axes: Axes, predicted: np.ndarray, true: np.ndarray) -> None:
    known = np.isfinite(true)
    if not known.any():
        axes.text(0.5, 0.5, "no labels", ha="center", transform=axes.transAxes)
        return
    predicted, true = predicted[known], true[known]
    n = len(true)
    finite = np.isfinite(predicted)
    everything = np.concatenate([true, predicted[finite]])
    low, high = float(everything.min()), float(everything.max())
    margin = 0.04 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GREY, linewidth=1, zorder=1)
    axes.scatter(
        true[finite],
        predicted[finite],
        s=float(np.clip(12000 / n, 6, 30)),
        alpha=float(np.clip(600 / n, 0.08, 0.8)),
        color=BLUE,
        linewidths=0,
        zorder=2,
    )
    axes.set_xlim(limits)
    axes.set_ylim(limits)
    axes.set_aspect("equal", adjustable="box")
    axes.locator_params(nbins=6)
    axes.set_yticks(axes.get_xticks())  # the same ticks on both axes; setting them may widen the limits
    axes.set_xlim(limits)
    axes.set_ylim(limits)


def _titles(mae: float | Sequence[float | None] | None, units: Sequence[str]) -> list[str]:
    """One title per panel; a single MAE of several dimensions is above the first panel, labelled as their mean."""
    dimensions = len(units)
    if mae is None:
        return [""] * dimensions
    if isinstance(mae, (int, float)) and dimensions > 1:
        common = units[0] if len(set(units)) == 1 else ""  # a mean over different units has no unit
        return [f"mean MAE {format_number(mae, trim=True)} {common}".rstrip()] + [""] * (dimensions - 1)
    values = [mae] if isinstance(mae, (int, float)) else mae
    if len(values) != dimensions:
        raise ValueError(f"mae must be one number or one per target dimension ({dimensions}), got {len(values)}")
    shown = ["" if value is None else f"MAE {format_number(value, trim=True)}" for value in values]
    return [f"{text} {unit}".rstrip() if text else "" for text, unit in zip(shown, units, strict=True)]
