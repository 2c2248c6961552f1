"""The figure of a report: one panel per data set and kind of methods, with means and standard deviations."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnc_lightning.reports.comparison import number
from rnc_lightning.reports.contents import COMPETING, group_of
from rnc_lightning.reports.names import END_TO_END, LINEAR_PROBE, metric_label, row_label, synthetic_remark
from rnc_lightning.reports.table import Cell, MetricTable
from rnc_lightning.reports.text import decimals, details_text

# Inches.
_WIDTH = 7.0
_PANEL_MARGIN = 0.9
_PAIR_HEIGHT = 0.42
_DOT_HEIGHT = 0.34
Panel = tuple[MetricTable, float, Callable[[Any, MetricTable], None]]  # table, height of its lines, drawing function


def draw_report(tables: Sequence[MetricTable], path: Path) -> Path | None:
    """Draw the main error of each data set; return None, and delete the file, if no run finished.

    Args:
        tables: Tables of a report; only those of a main error are drawn.
        path: File to write.
    """
    panels = [panel for table in tables if table.is_main and (panel := _panel(table))[1]]
    if not panels:
        path.unlink(missing_ok=True)
        return None
    from rnc_lightning.plots.style import house_style, new_figure, save_figure

    with house_style():
        heights = [_PANEL_MARGIN + height for _, height, _ in panels]
        figure = new_figure(_WIDTH, 0.6 + sum(heights))
        drawn = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
        legend: dict[str, Any] = {}
        for axes, (table, _, draw_onto) in zip(drawn, panels, strict=True):
            draw_onto(axes, table)
            _finish_panel(axes, table)
            handles, labels = axes.get_legend_handles_labels()
            legend |= {label: handle for label, handle in zip(labels, handles, strict=True) if label not in legend}
        figure.legend(legend.values(), legend.keys(), loc="outside lower center", ncols=len(legend))
        return save_figure(figure, path)


def _panel(table: MetricTable) -> Panel:
    if table.kind == COMPETING:
        return table, _DOT_HEIGHT * len(measured_cells(table)), draw_competing
    return table, _PAIR_HEIGHT * len(pair_cells(table)), draw_pairs


def _finish_panel(axes: Any, table: MetricTable) -> None:
    """Add what panels of both kinds share: grid, title, axis label."""
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.12)
    kind = f", {table.kind}" if table.is_named else ""
    synthetic = ""
    if synthetic_remark(table.dataset):
        synthetic = f" (synthetic {'data' if table.dataset.endswith('_synthetic') else 'target'})"
    axes.set_title(shorten_label(table.dataset) + kind + synthetic)
    axes.set_xlabel(shorten_label(metric_label(table.metric, table.unit)) + ", mean ± sd over seeds")


def measured_cells(table: MetricTable) -> list[Cell]:
    """Return the cells that have a value, in the table's order."""
    return [cell for cell in table.cells if cell.mean is not None]


def reference(cells: Sequence[Cell]) -> float | None:
    """Return the mean of L1 alone; None if it was not run, or if several such rows have equally few overrides."""
    alone = [cell for cell in cells if cell.row.head == "l1" and cell.row.is_head_alone]
    fewest = min((len(cell.row.variant) for cell in alone), default=0)
    means = [cell.mean for cell in alone if len(cell.row.variant) == fewest]
    return means[0] if len(means) == 1 else None


def draw_competing(axes: Any, table: MetricTable) -> None:
    """Draw a panel of competing methods: a line at L1 alone, dots, and thin lines between groups."""
    from rnc_lightning.plots.style import BLUE, GREY

    cells = measured_cells(table)
    line = reference(cells)
    if line is not None:
        axes.axvline(line, color=GREY, lw=1.0, ls="--", label="L1 alone")
    for name, colour, marker, uses_rnc in (("other method", GREY, "s", False), ("with RnC", BLUE, "D", True)):
        dots = [(float(y), cell) for y, cell in enumerate(cells) if _uses_rnc(cell) is uses_rnc]
        if dots:
            draw_dots(axes, dots, name, colour, marker, decimals(table), numbers_at_edge=True)
    groups = [group_of(cell.row) for cell in cells]
    for y in range(1, len(cells)):
        if groups[y] != groups[y - 1]:
            axes.axhline(y - 0.5, color="#555555", lw=0.5)
    labels = [_tick_label(cell.row.label, details_text(cell, table.shared)) for cell in cells]
    axes.set_yticks(range(len(cells)), labels)
    axes.set_ylim(len(cells) - 0.5, -0.5)


def _uses_rnc(cell: Cell) -> bool:
    row = cell.row
    return "rnc" in row.extras or (row.method == "rnc" and row.scheme != END_TO_END)


def _tick_label(*texts: str) -> str:
    return "\n".join(shorten_label(text) for text in texts if text)


def draw_dots(
    axes: Any,
    dots: Sequence[tuple[float, Cell]],
    name: str,
    colour: str,
    marker: str,
    digits: int,
    numbers_at_edge: bool = False,
) -> None:
    """Draw a series of means with standard deviations.

    Args:
        axes: Axes to draw on.
        dots: Height and cell of each dot.
        name: Label in the legend.
        colour: Colour of dots and numbers.
        marker: Shape of the dots.
        digits: Decimals of the numbers.
        numbers_at_edge: Whether the numbers are in a column at the right edge instead of next to the dots.
    """
    means, deviations = [cell.mean or 0.0 for _, cell in dots], [cell.sd or 0.0 for _, cell in dots]
    heights = [y for y, _ in dots]
    axes.errorbar(means, heights, xerr=deviations, fmt=marker, color=colour, ms=5, lw=1.4, capsize=2, label=name)
    system = axes.get_yaxis_transform() if numbers_at_edge else axes.transData
    style = {"xycoords": system, "textcoords": "offset points", "va": "center", "fontsize": 7, "color": colour}
    for y, mean, deviation in zip(heights, means, deviations, strict=True):
        axes.annotate(number(mean, digits), (1.0 if numbers_at_edge else mean + deviation, y), (5, 0), **style)


def shorten_label(text: str) -> str:
    """Shorten a label to leave room for the dots, and escape it so that matplotlib does not read it as mathematics."""
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return short.replace("$", r"\$")


def pair_cells(table: MetricTable) -> list[tuple[str, Cell | None, Cell | None]]:
    """Return label, head alone and the same head on RnC (linear probe), in the table's order; either can be None."""
    pairs: dict[tuple[object, ...], list[Cell | None]] = {}
    for cell in table.cells:
        row = cell.row
        if cell.mean is None or not (row.scheme == END_TO_END or (row.method == "rnc" and row.scheme == LINEAR_PROBE)):
            continue
        side = 0 if row.scheme == END_TO_END else 1
        key: tuple[object, ...] = (row_label("", row.head, END_TO_END), row.variant, row.fingerprint)
        if pairs.setdefault(key, [None, None])[side] is not None:  # another setting under the same name
            key = (*key, row.setting)
            pairs[key] = [None, None]
        pairs[key][side] = cell
    return [(_pair_label(str(key[0]), alone, rnc), alone, rnc) for key, (alone, rnc) in pairs.items()]


def draw_pairs(axes: Any, table: MetricTable) -> None:
    """Draw a panel of regression methods: two series of dots, head alone and on RnC."""
    from rnc_lightning.plots.style import BLUE, GREY

    pairs = pair_cells(table)
    digits = decimals(table)
    alone = [(y - 0.18, cell) for y, (_, cell, _) in enumerate(pairs) if cell is not None]
    on_rnc = [(y + 0.18, cell) for y, (_, _, cell) in enumerate(pairs) if cell is not None]
    draw_dots(axes, alone, "head alone", GREY, "o", digits)
    draw_dots(axes, on_rnc, "on RnC", BLUE, "D", digits)
    axes.set_yticks(range(len(pairs)), [label for label, _, _ in pairs])
    axes.set_ylim(len(pairs) - 0.5, -0.5)


def _pair_label(head: str, *cells: Cell | None) -> str:
    return _tick_label(head, *dict.fromkeys(cell.row.details for cell in cells if cell is not None))
