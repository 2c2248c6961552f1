"""The figure: each head alone and on RnC, mean and standard deviation over seeds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rnc_lightning.report.layout import decimals, number
from rnc_lightning.report.names import END_TO_END, LINEAR_PROBE, is_made, metric_label, row_label
from rnc_lightning.report.table import Cell, MetricTable

_WIDTH = 7.0  # inches, as all below
_PANEL_MARGIN = 0.9
_LINE_HEIGHT = 0.42


def draw_heads(tables: Sequence[MetricTable], path: Path) -> Path | None:
    """Draw the main error of each data set; None, and no file, where no run of theirs finished.

    Args:
        tables: Those of R2 are left out.
        path: Where the picture goes.
    """
    panels = [(table, found) for table in tables if table.metric != "r2" and (found := pairs(table))]
    if not panels:
        path.unlink(missing_ok=True)
        return None
    from rnc_lightning.analysis.figures import house_style, new_figure, save_figure

    sizes = [len(found) for _, found in panels]
    with house_style():
        figure = new_figure(_WIDTH, 0.6 + sum(_PANEL_MARGIN + _LINE_HEIGHT * size for size in sizes))
        ratios = [_PANEL_MARGIN + _LINE_HEIGHT * size for size in sizes]
        drawn = figure.subplots(len(panels), 1, squeeze=False, height_ratios=ratios)[:, 0]
        for axes, (table, found) in zip(drawn, panels, strict=True):
            _panel(axes, table, found)
        handles, labels = drawn[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        return save_figure(figure, path)


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
    return [(_label(str(key[0]), alone, rnc), alone, rnc) for key, (alone, rnc) in found.items()]


def _label(head: str, *cells: Cell | None) -> str:
    """The head, and what is special about its rows."""
    details = dict.fromkeys(cell.row.details for cell in cells if cell is not None and cell.row.details)
    return "\n".join(_plain(text) for text in (head, *details))


def _panel(axes: Any, table: MetricTable, found: Sequence[tuple[str, Cell | None, Cell | None]]) -> None:
    from rnc_lightning.analysis.figures import BLUE, GREY

    digits = decimals(table)
    alone = [(place - 0.18, cell) for place, (_, cell, _) in enumerate(found) if cell is not None]
    on_rnc = [(place + 0.18, cell) for place, (_, _, cell) in enumerate(found) if cell is not None]
    for name, colour, marker, dots in (("head alone", GREY, "o", alone), ("on RnC", BLUE, "D", on_rnc)):
        means, deviations = [cell.mean or 0.0 for _, cell in dots], [cell.sd or 0.0 for _, cell in dots]
        places = [place for place, _ in dots]
        axes.errorbar(means, places, xerr=deviations, fmt=marker, color=colour, ms=5, lw=1.4, capsize=2, label=name)
        for place, mean, deviation in zip(places, means, deviations, strict=True):
            text, spot = number(mean, digits), (mean + deviation, place)
            axes.annotate(text, spot, (5, 0), textcoords="offset points", va="center", fontsize=7, color=colour)
    axes.set_yticks(range(len(found)), [label for label, _, _ in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.grid(axis="y", color="#dddddd", lw=0.6)
    axes.set_axisbelow(True)
    axes.margins(x=0.12)
    axes.set_title(_plain(table.dataset) + (" (made data)" if is_made(table.dataset) else ""))
    axes.set_xlabel(_plain(metric_label(table.metric, table.unit)) + ", mean ± sd over seeds")


def _plain(text: str) -> str:
    """A label that matplotlib does not take for mathematics, and which leaves room for the dots."""
    short = text if len(text) <= 40 else f"{text[:39]}…"
    return short.replace("$", r"\$")
