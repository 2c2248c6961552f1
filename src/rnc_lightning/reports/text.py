"""The tables as text, the same in every format that people read."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from rnc_lightning.reports.contents import COMPETING, REGRESSION, competing_order, group_of
from rnc_lightning.reports.names import metric_label
from rnc_lightning.reports.rows import Row
from rnc_lightning.reports.statistics import Gain
from rnc_lightning.reports.table import Cell, MetricTable, Report

NOTHING = "\N{EN DASH}"
_REASON_WIDTH = 60  # characters of a failure's reason in a table; the notes have all of it


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: What it holds; HTML sorts by it.
        title: Its heading.
    """

    key: str
    title: str


@dataclass(frozen=True)
class Line:
    """A line of a table.

    Attributes:
        label: The method.
        details: What stands under the label, or empty.
        texts: Column key -> text, the label left out.
        numbers: Column key -> what to sort by, None where there is no number.
        measured: Whether the line has a value.
        verdict: better or worse where the gain's whole interval lies on one side of zero, else empty.
        group: The heading that the line stands under, or empty.
    """

    label: str
    details: str
    texts: dict[str, str]
    numbers: dict[str, float | None]
    measured: bool = True
    verdict: str = ""
    group: str = ""


def columns(table: MetricTable) -> list[Column]:
    """The columns after the method; those of the authors only where they report anything."""
    always = [
        Column("seeds", "seeds"),
        Column("mean", metric_label(table.metric, table.unit)),
        Column("gain", "gain over head alone"),
        Column("pairs", "pairs"),
    ]
    theirs = [Column("published", "published"), Column("difference", "difference")]
    elsewhere = [Column("orientation", "published, AgeDB (years)")]
    return [*always, *(theirs if table.has_published else ()), *(elsewhere if table.is_oriented else ())]


def lines(table: MetricTable) -> tuple[list[Line], list[Line]]:
    """The constant predictor's lines and the methods' lines."""
    digits = decimals(table)
    constants = [
        Line("constant predictor", details, {"mean": _plain(value, digits)}, {"mean": value}, value is not None)
        for details, value in table.constants.items()
    ]
    methods = [_line(cell, digits, table.shared) for cell in table.cells]
    if table.kind != COMPETING:
        return constants, methods
    named = zip(methods, table.cells, strict=True)
    return constants, [replace(line, group=group_of(cell.row)) for line, cell in named]


def groups(methods: Sequence[Line]) -> list[tuple[str, list[Line]]]:
    """The methods' lines under their headings; without headings they are one group."""
    return [(title, list(found)) for title, found in groupby(methods, key=lambda line: line.group)]


def value_text(cell: Cell, digits: int) -> str:
    """Mean and standard deviation, or why there is none."""
    if cell.mean is None:
        return status_text(cell)
    return number(cell.mean, digits) + (f" ± {number(cell.sd, digits)}" if cell.sd is not None else "")


def status_text(cell: Cell) -> str:
    """A row's status, in a table; a failure with its reason in short."""
    if cell.status == "finished":
        return f"no {cell.metric}"
    reasons = dict.fromkeys(
        " ".join(run.reason.split()) for runs in cell.row.others.values() for run in runs if run.status == cell.status
    )
    reason = "; ".join(reason for reason in reasons if reason)
    return textwrap.shorten(f"{cell.status}: {reason}" if reason else cell.status, _REASON_WIDTH, placeholder=" …")


def decimals(table: MetricTable) -> int:
    """Decimals that show three digits of the smallest error, at least two; three for R2."""
    if table.metric == "r2":
        return 3
    means = [abs(cell.mean) for cell in table.cells if cell.mean]
    return int(np.clip(2 - np.floor(np.log10(min(means))), 2, 8)) if means else 2


def number(value: float, digits: int, signed: bool = False) -> str:
    """A rounded number without a negative zero.

    >>> number(6.143, 2), number(-0.001, 2, signed=True), number(0.25, 2, signed=True)
    ('6.14', '0.00', '+0.25')
    """
    if abs(value) >= 1e7:
        return f"{value:+.3g}" if signed else f"{value:.3g}"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f}"
    return f"+{text}" if signed and value > 0 else text


def gain_text(gain: Gain, digits: int) -> str:
    """A paired difference, with its 95 percent interval where there are pairs enough."""
    text = number(gain.mean, digits, signed=True)
    if gain.low is None or gain.high is None:
        return text
    return f"{text} [{number(gain.low, digits, signed=True)}, {number(gain.high, digits, signed=True)}]"


def _line(cell: Cell, digits: int, shared: Sequence[str]) -> Line:
    gain = cell.gain
    own = [word for word in cell.row.variant if word not in shared]
    details = ", ".join((*own, *cell.row.marks))
    tried = bool(cell.row.seeds)
    count = len(cell.values)
    texts = {
        "seeds": (str(count) if count == cell.expected else f"{count} of {cell.expected}") if tried else NOTHING,
        "mean": value_text(cell, digits),
        "gain": _gain_text(cell, digits),
        "pairs": str(gain.pairs) if gain else NOTHING,
        "published": _plain(cell.published, digits if cell.metric == "r2" else 2),
        "difference": NOTHING if cell.difference is None else number(cell.difference, digits, signed=True),
        "orientation": _plain(cell.orientation, 2),
    }
    numbers = {
        "seeds": float(count) if tried else None,
        "mean": cell.mean,
        "gain": gain.mean if gain else None,
        "pairs": float(gain.pairs) if gain else None,
        "published": cell.published,
        "difference": cell.difference,
        "orientation": cell.orientation,
    }
    return Line(cell.row.label, details, texts, numbers, cell.mean is not None, _verdict(gain))


def _verdict(gain: Gain | None) -> str:
    if gain is None or gain.low is None or gain.high is None:
        return ""
    return "better" if gain.low > 0 else "worse" if gain.high < 0 else ""


def _gain_text(cell: Cell, digits: int) -> str:
    gain = cell.gain
    if gain is None:
        return "no pair" if not cell.row.is_head_alone and cell.mean is not None else NOTHING
    return gain_text(gain, digits)


def _plain(value: float | None, digits: int) -> str:
    return NOTHING if value is None else number(value, digits)


def table_title(table: MetricTable) -> str:
    """What stands above a table, with the overrides that all its runs share."""
    shared = f" (all with {', '.join(table.shared)})" if table.shared else ""
    kind = f", {table.kind}" if table.is_named else ""
    return f"{table.dataset}{kind}: {metric_label(table.metric, table.unit)}{shared}"


def report_title(report: Report) -> str:
    """What stands above everything."""
    if not report.has_competing:
        return "Regression table"
    kinds = {table.kind for table in report.tables}
    return "Regression and competing methods" if REGRESSION in kinds else "Competing methods"


def figure_text(report: Report) -> str:
    """What the figure shows, for those who do not see it."""
    every = "method" if report.has_competing else "head alone and on RnC"
    return f"mean and standard deviation of each {every}"


LEGEND = (
    "Mean ± standard deviation over seeds, on the test set. Gain: how much better than the same head alone, trained "
    "end to end: the mean over common seeds with its 95 percent paired t interval; positive is better for errors and "
    "for R² alike. Difference: ours minus the published value."
)


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
