"""The figure: a panel for each data set and kind of methods, means and standard deviations over seeds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rnc_lightning.reports.contents import COMPETING, group_of
from rnc_lightning.reports.names import END_TO_END, LINEAR_PROBE, metric_label, row_label, synthetic_remark
from rnc_lightning.reports.table import Cell, MetricTable
from rnc_lightning.reports.text import decimals, number

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
    from rnc_lightning.plots.style import house_style, new_figure, save_figure

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
    axes.set_title(plain(table.dataset) + kind + _synthetic(table.dataset))
    axes.set_xlabel(plain(metric_label(table.metric, table.unit)) + ", mean ± sd over seeds")


def measured(table: MetricTable) -> list[Cell]:
    """The cells that have a value, in the table's order."""
    return [cell for cell in table.cells if cell.mean is not None]


def reference(cells: Sequence[Cell]) -> float | None:
    """What L1 alone reaches; None where it was not run, or where several such rows have equally few overrides."""
    alone = [cell for cell in cells if cell.row.head == "l1" and cell.row.is_head_alone]
    fewest = min((len(cell.row.variant) for cell in alone), default=0)
    means = [cell.mean for cell in alone if len(cell.row.variant) == fewest]
    return means[0] if len(means) == 1 else None


def draw_competing(axes: Any, table: MetricTable) -> None:
    """Draw the panel: the line, the dots, and thin lines between the groups."""
    from rnc_lightning.plots.style import BLUE, GREY

    cells = measured(table)
    line = reference(cells)
    if line is not None:
        axes.axvline(line, color=GREY, lw=1.0, ls="--", label="L1 alone")
    for name, colour, marker, of_rnc in (("other method", GREY, "s", False), ("with RnC", BLUE, "D", True)):
        dots = [(float(place), cell) for place, cell in enumerate(cells) if _is_rnc(cell) is of_rnc]
        if dots:
            draw_dots(axes, dots, name, colour, marker, decimals(table), aside=True)
    groups = [group_of(cell.row) for cell in cells]
    for place in range(1, len(cells)):
        if groups[place] != groups[place - 1]:
            axes.axhline(place - 0.5, color="#555555", lw=0.5)
    axes.set_yticks(range(len(cells)), [_label(cell, table.shared) for cell in cells])
    axes.set_ylim(len(cells) - 0.5, -0.5)


def _is_rnc(cell: Cell) -> bool:
    row = cell.row
    return "rnc" in row.extras or (row.method == "rnc" and row.scheme != END_TO_END)


def _label(cell: Cell, shared: Sequence[str]) -> str:
    details = ", ".join((*(word for word in cell.row.variant if word not in shared), *cell.row.marks))
    return "\n".join(plain(text) for text in (cell.row.label, details) if text)


def draw_dots(
    axes: Any,
    dots: Sequence[tuple[float, Cell]],
    name: str,
    colour: str,
    marker: str,
    digits: int,
    aside: bool = False,
) -> None:
    """Draw the series.

    Args:
        axes: Where.
        dots: Height and cell of each.
        name: In the legend.
        colour: Of dots and numbers.
        marker: Their shape.
        digits: Decimals of the numbers.
        aside: Whether the numbers stand in a column of their own and not beside the dots.
    """
    means, deviations = [cell.mean or 0.0 for _, cell in dots], [cell.sd or 0.0 for _, cell in dots]
    places = [place for place, _ in dots]
    axes.errorbar(means, places, xerr=deviations, fmt=marker, color=colour, ms=5, lw=1.4, capsize=2, label=name)
    for place, mean, deviation in zip(places, means, deviations, strict=True):
        text, spot = number(mean, digits), (1.0 if aside else mean + deviation, place)
        system = axes.get_yaxis_transform() if aside else axes.transData
        axes.annotate(
            text, spot, (5, 0), xycoords=system, textcoords="offset points", va="center", fontsize=7, color=colour
        )


def plain(text: str) -> str:
    """A label that matplotlib does not take for mathematics, and which leaves room for the dots."""
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return short.replace("$", r"\$")


def pairs(table: MetricTable) -> list[tuple[str, Cell | None, Cell | None]]:
    """Label, head alone and RnC on it (linear probe), in the table's order; a row without its twin stands alone."""
    found: dict[tuple[object, ...], list[Cell | None]] = {}
    for cell in table.cells:
        row = cell.row
        if cell.mean is None or not (row.scheme == END_TO_END or (row.method == "rnc" and row.scheme == LINEAR_PROBE)):
            continue
        place = 0 if row.scheme == END_TO_END else 1
        label = row_label("", row.head, END_TO_END)
        twins = found.setdefault((label, row.variant, row.fingerprint), [None, None])
        if twins[place] is None:
            twins[place] = cell
        else:  # another setting under the same name
            found[label, row.variant, row.fingerprint, row.setting] = [cell, None] if place == 0 else [None, cell]
    return [(_pair_label(str(key[0]), alone, rnc), alone, rnc) for key, (alone, rnc) in found.items()]


def draw_pairs(axes: Any, table: MetricTable) -> None:
    """Draw the panel, two series of dots."""
    from rnc_lightning.plots.style import BLUE, GREY

    found = pairs(table)
    digits = decimals(table)
    alone = [(place - 0.18, cell) for place, (_, cell, _) in enumerate(found) if cell is not None]
    on_rnc = [(place + 0.18, cell) for place, (_, _, cell) in enumerate(found) if cell is not None]
    draw_dots(axes, alone, "head alone", GREY, "o", digits)
    draw_dots(axes, on_rnc, "on RnC", BLUE, "D", digits)
    axes.set_yticks(range(len(found)), [label for label, _, _ in found])
    axes.set_ylim(len(found) - 0.5, -0.5)


def _pair_label(head: str, *cells: Cell | None) -> str:
    """The head, and what is special about its rows."""
    details = dict.fromkeys(cell.row.details for cell in cells if cell is not None and cell.row.details)
    return "\n".join(plain(text) for text in (head, *details))


def _synthetic(dataset: str) -> str:
    if synthetic_remark(dataset) is None:
        return ""
    return " (synthetic data)" if dataset.endswith("_synthetic") else " (synthetic target)"
