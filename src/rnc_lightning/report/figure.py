"""The figure: a panel for each data set and kind of methods, means and standard deviations over seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnc_lightning.report.competing_panel import draw_competing, measured
from rnc_lightning.report.contents import COMPETING
from rnc_lightning.report.dots import plain
from rnc_lightning.report.names import is_made, metric_label
from rnc_lightning.report.paired_panel import draw_pairs, pairs
from rnc_lightning.report.table import MetricTable

_WIDTH = 7.0  # inches, as all below
_PANEL_MARGIN = 0.9
_PAIR_HEIGHT = 0.42
_DOT_HEIGHT = 0.34

Panel = tuple[MetricTable, float, Callable[[Any, MetricTable], None]]  # the height of its lines, what draws it


def draw(tables: Sequence[MetricTable], path: Path) -> Path | None:
    """Draw the main error of each data set; None, and no file, where no run of theirs finished.

    Args:
        tables: Those of R2 are left out.
        path: Where the picture goes.
    """
    panels = [panel for table in tables if table.metric != "r2" and (panel := _panel(table))[1]]
    if not panels:
        path.unlink(missing_ok=True)
        return None
    from rnc_lightning.analysis.figures import house_style, new_figure, save_figure

    with house_style():
        heights = [_PANEL_MARGIN + height for _, height, _ in panels]
        figure = new_figure(_WIDTH, 0.6 + sum(heights))
        drawn = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        legend: dict[str, Any] = {}
        for axes, (table, _, draw_onto) in zip(drawn, panels, strict=True):
            draw_onto(axes, table)
            _dress(axes, table)
            handles, labels = axes.get_legend_handles_labels()
            legend |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in legend}
        figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=len(legend))
        return save_figure(figure, path)


def _panel(table: MetricTable) -> Panel:
    if table.kind == COMPETING:
        return table, _DOT_HEIGHT * len(measured(table)), draw_competing
    return table, _PAIR_HEIGHT * len(pairs(table)), draw_pairs


def _dress(axes: Any, table: MetricTable) -> None:
    """What panels of both kinds have around their dots."""
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.12)
    kind = f", {table.kind}" if table.is_named else ""
    axes.set_title(plain(table.dataset) + kind + (" (made data)" if is_made(table.dataset) else ""))
    axes.set_xlabel(plain(metric_label(table.metric, table.unit)) + ", mean ± sd over seeds")
