"""The tables as text, shared by all formats for people."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from rnc_lightning.reports.comparison import decimals_of, gain_text, number
from rnc_lightning.reports.contents import COMPETING, REGRESSION, competing_order, group_of
from rnc_lightning.reports.names import is_r2, metric_label
from rnc_lightning.reports.rows import Row
from rnc_lightning.reports.statistics import Gain
from rnc_lightning.reports.table import Cell, MetricTable, Report

DASH = "\N{EN DASH}"
_REASON_WIDTH = 60  # characters of a failure's reason in a table; the notes contain the full reason


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        label: The method.
        details: Shown below the label, or empty.
        texts: Column key -> text, without the label.
        numbers: Column key -> number to sort by, or None.
        measured: Whether the line has a value.
        verdict: better or worse if the interval of the gain excludes zero, else empty.
    """

    label: str
    details: str
    texts: dict[str, str]
    numbers: dict[str, float | None] = field(default_factory=dict)
    measured: bool = True
    verdict: str = ""


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes:
        id: Identifier for links, unique among the tables of a data set.
        title: Its title.
        columns: Key -> heading of each column after the method.
        constants: The lines of the constant predictor.
        groups: Heading (or empty) and lines of each group of methods.
    """

    id: str
    title: str
    columns: dict[str, str]
    constants: list[Line]
    groups: list[tuple[str, list[Line]]]

    def cells(self, line: Line) -> list[str]:
        """Return the texts of a line, one per column."""
        return [line.texts.get(key, "") for key in self.columns]


def text_tables(report: Report) -> list[TextTable]:
    """Return all tables: those of all data sets side by side, then those of each data set and metric."""
    return [*comparison_tables(report), *map(metric_table, report.tables)]


def metric_table(table: MetricTable) -> TextTable:
    """Return a table of the report as text, with columns of published values only if there are any."""
    columns = {
        "seeds": "seeds",
        "mean": metric_label(table.metric, table.unit),
        "gain": "gain over head alone",
        "pairs": "pairs",
    }
    if table.has_published:
        columns |= {"published": "published", "difference": "difference"}
    if table.has_published_agedb:
        columns |= {"published_agedb": "published, AgeDB (years)"}
    digits, label = decimals(table), "constant predictor"
    constants = [
        Line(label, details, {"mean": _number_or_dash(value, digits)}, {"mean": value}, value is not None)
        for details, value in table.constants.items()
    ]
    by_group = groupby(table.cells, lambda cell: group_of(cell.row) if table.kind == COMPETING else "")
    groups = [(heading, [_line(cell, digits, table.shared) for cell in cells]) for heading, cells in by_group]
    id_ = table.metric if table.dimension is None else f"{table.metric.partition('/')[0]}-{table.dimension + 1}"
    id_ = f"competing-{id_}" if table.kind == COMPETING else id_
    shared = f" (all with {', '.join(table.shared)})" if table.shared else ""
    kind = f", {table.kind}" if table.is_named else ""
    title = f"{table.dataset}{kind}: {metric_label(table.metric, table.unit)}{shared}"
    return TextTable(id_, title, columns, constants, groups)


def value_text(cell: Cell, digits: int) -> str:
    """Format mean and standard deviation, or say why there is none."""
    if cell.mean is None:
        return status_text(cell)
    return number(cell.mean, digits) + (f" ± {number(cell.sd, digits)}" if cell.sd is not None else "")


def status_text(cell: Cell) -> str:
    """Return a row's status for a table; a failure with its shortened reason."""
    if cell.status == "finished":
        return f"no {cell.metric}"
    reasons = dict.fromkeys(
        " ".join(run.reason.split()) for runs in cell.row.others.values() for run in runs if run.status == cell.status
    )
    reason = "; ".join(reason for reason in reasons if reason)
    return textwrap.shorten(f"{cell.status}: {reason}" if reason else cell.status, _REASON_WIDTH, placeholder=" …")


def decimals(table: MetricTable) -> int:
    """Return how many decimals show three digits of the smallest error, at least two; three for R2."""
    if is_r2(table.metric):
        return 3
    means = [abs(cell.mean) for cell in table.cells if cell.mean]
    return max(map(decimals_of, means), default=2)


def details_text(cell: Cell, shared: Sequence[str]) -> str:
    """Return what is shown below a label: the overrides that the table's rows do not share, and the marks."""
    return ", ".join((*(option for option in cell.row.variant if option not in shared), *cell.row.marks))


def _line(cell: Cell, digits: int, shared: Sequence[str]) -> Line:
    gain = cell.gain
    was_run = bool(cell.row.seeds)
    count = len(cell.values)
    texts = {
        "seeds": (str(count) if count == cell.expected else f"{count} of {cell.expected}") if was_run else DASH,
        "mean": value_text(cell, digits),
        "gain": _gain_text(cell, digits),
        "pairs": str(gain.pairs) if gain else DASH,
        "published": _number_or_dash(cell.published, digits if is_r2(cell.metric) else 2),
        "difference": DASH if cell.difference is None else number(cell.difference, digits, signed=True),
        "published_agedb": _number_or_dash(cell.published_agedb, 2),
    }
    numbers = {
        "seeds": float(count) if was_run else None,
        "mean": cell.mean,
        "gain": gain.mean if gain else None,
        "pairs": float(gain.pairs) if gain else None,
        "published": cell.published,
        "difference": cell.difference,
        "published_agedb": cell.published_agedb,
    }
    return Line(cell.row.label, details_text(cell, shared), texts, numbers, cell.mean is not None, _verdict(gain))


def _verdict(gain: Gain | None) -> str:
    if gain is None or gain.low is None or gain.high is None:
        return ""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else ""


def _gain_text(cell: Cell, digits: int) -> str:
    gain = cell.gain
    if gain is None:
        return "no pair" if not cell.row.is_head_alone and cell.mean is not None else DASH
    return gain_text(gain, digits)


def _number_or_dash(value: float | None, digits: int) -> str:
    return DASH if value is None else number(value, digits)


def report_title(report: Report) -> str:
    """Return the title of the report."""
    if not report.has_competing:
        return "Regression table"
    kinds = {table.kind for table in report.tables}
    return "Regression and competing methods" if REGRESSION in kinds else "Competing methods"


def figure_text(report: Report) -> str:
    """Describe the figure, for readers who cannot see it."""
    every = "method" if report.has_competing else "head alone and on RnC"
    return f"mean and standard deviation of each {every}"


LEGEND = (
    "Mean ± standard deviation over seeds, on the test set. Gain: how much better than the same head alone, trained "
    "end to end: the mean over common seeds with its 95 percent paired t interval; positive is better for errors and "
    "for R² alike. Difference: ours minus the published value."
)


def comparison_tables(report: Report) -> list[TextTable]:
    """Return tables with one column per data set: one for each kind of methods with several data sets."""
    kinds = dict.fromkeys(table.kind for table in sorted(report.main_tables, key=lambda table: table.kind == COMPETING))
    result = []
    for kind in kinds:
        tables = [table for table in report.main_tables if table.kind == kind]
        if len(tables) > 1:
            id_ = "all-competing" if kind == COMPETING else "all"
            title = f"All data sets: {kind}" if report.has_competing else "All data sets"
            columns = {table.dataset: f"{table.dataset}: {metric_label(table.metric, table.unit)}" for table in tables}
            result.append(TextTable(id_, title, columns, *_comparison_lines(tables)))
    return result


def _comparison_lines(tables: Sequence[MetricTable]) -> tuple[list[Line], list[tuple[str, list[Line]]]]:
    lines: dict[tuple[tuple[object, ...], str, str], Line] = {}
    constant = Line("constant predictor", "", {})
    for table in tables:
        digits = decimals(table)
        values = list(table.constants.values())
        constant.texts[table.dataset] = _number_or_dash(values[0], digits) if len(values) == 1 else "several"
        for cell in table.cells:
            key = (_order(cell.row, table.kind), cell.row.label, cell.row.details)
            line = lines.setdefault(key, Line(cell.row.label, cell.row.details, {}))
            line.texts[table.dataset] = value_text(cell, digits)
    return [constant], [("", [lines[key] for key in sorted(lines)])]


def _order(row: Row, kind: str) -> tuple[object, ...]:
    """Sort key of a row that is the same on every data set: without setting and fingerprint of the data."""
    order = competing_order(row) if kind == COMPETING else row.order
    return (*order[:-2], row.marks)
