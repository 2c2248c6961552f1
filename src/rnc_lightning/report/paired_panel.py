"""The figure's panel of regression methods: each head alone and on RnC."""

from typing import Any

from rnc_lightning.report.dots import draw_dots, plain
from rnc_lightning.report.layout import decimals
from rnc_lightning.report.names import END_TO_END, LINEAR_PROBE, row_label
from rnc_lightning.report.table import Cell, MetricTable


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


def draw_pairs(axes: Any, table: MetricTable) -> None:
    """Draw the panel, two series of dots."""
    from rnc_lightning.analysis.figures import BLUE, GREY

    found = pairs(table)
    digits = decimals(table)
    alone = [(place - 0.18, cell) for place, (_, cell, _) in enumerate(found) if cell is not None]
    on_rnc = [(place + 0.18, cell) for place, (_, _, cell) in enumerate(found) if cell is not None]
    draw_dots(axes, alone, "head alone", GREY, "o", digits)
    draw_dots(axes, on_rnc, "on RnC", BLUE, "D", digits)
    axes.set_yticks(range(len(found)), [label for label, _, _ in found])
    axes.set_ylim(len(found) - 0.5, -0.5)


def _label(head: str, *cells: Cell | None) -> str:
    """The head, and what is special about its rows."""
    details = dict.fromkeys(cell.row.details for cell in cells if cell is not None and cell.row.details)
    return "\n".join(plain(text) for text in (head, *details))
