"""Every method against every data set, one matrix for each kind of table that several data sets have."""

from collections.abc import Sequence
from dataclasses import dataclass

from rnc_lightning.report.competing import competing_order
from rnc_lightning.report.contents import COMPETING
from rnc_lightning.report.layout import decimals, lines, value_text
from rnc_lightning.report.names import metric_label
from rnc_lightning.report.rows import Row
from rnc_lightning.report.table import MetricTable, Report


@dataclass(frozen=True)
class Matrix:
    """One matrix.

    Attributes:
        id: For links to it.
        title: What stands above it.
        headings: One for each data set.
        body: Label, details and one text for each data set; the first line is the constant predictor's.
    """

    id: str
    title: str
    headings: list[str]
    body: list[tuple[str, str, list[str]]]


def matrices(report: Report) -> list[Matrix]:
    """Those of the report, in its tables' order."""
    kinds = dict.fromkeys(table.kind for table in sorted(report.main_tables, key=lambda table: table.kind == COMPETING))
    found = []
    for kind in kinds:
        tables = [table for table in report.main_tables if table.kind == kind]
        if len(tables) > 1:
            id_ = "all-competing" if kind == COMPETING else "all"
            title = f"All data sets: {kind}" if report.has_competing else "All data sets"
            found.append(Matrix(id_, title, *_matrix(tables)))
    return found


def _matrix(tables: Sequence[MetricTable]) -> tuple[list[str], list[tuple[str, str, list[str]]]]:
    headings = [f"{table.dataset}: {metric_label(table.metric, table.unit)}" for table in tables]
    texts: dict[tuple[tuple[object, ...], str, str], dict[str, str]] = {}
    for table in tables:
        digits = decimals(table)
        for cell in table.cells:
            key = (_order(cell.row, table.kind), cell.row.label, cell.row.details)
            texts.setdefault(key, {})[table.dataset] = value_text(cell, digits)
    constant = [
        next(iter(lines(table)[0])).texts["mean"] if len(table.constants) == 1 else "several" for table in tables
    ]
    body = [
        (label, details, [found.get(table.dataset, "") for table in tables])
        for (_, label, details), found in sorted(texts.items(), key=lambda item: item[0])
    ]
    return headings, [("constant predictor", "", constant), *body]


def _order(row: Row, kind: str) -> tuple[object, ...]:
    """A row's place, the same on every data set: its setting and its data's fingerprint say nothing there."""
    order = competing_order(row) if kind == COMPETING else row.order
    return (*order[:-2], row.marks)
