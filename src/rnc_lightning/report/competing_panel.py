"""The figure's panel of competing methods: one dot a row, beside a line where L1 alone stands."""

from collections.abc import Sequence
from typing import Any

from rnc_lightning.report.competing import group_of
from rnc_lightning.report.dots import draw_dots, plain
from rnc_lightning.report.layout import decimals
from rnc_lightning.report.names import END_TO_END
from rnc_lightning.report.table import Cell, MetricTable


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
    from rnc_lightning.analysis.figures import BLUE, GREY

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
