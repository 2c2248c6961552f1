"""The report as a tidy CSV: one line per data set, row and metric, with unrounded numbers."""

import csv
import io
from collections.abc import Iterable

from rnc_lightning.reports.table import Cell, MetricTable, Report
from rnc_lightning.system.spreadsheet import escaped

COLUMNS = (
    "dataset", "metric", "row", "label", "method", "head", "scheme", "variant", "status", "mean", "sd", "n", "seeds",
    "gain", "gain_low", "gain_high", "pairs", "published", "difference", "reason", "setting", "fingerprint",
)  # fmt: skip

COMPETING_COLUMNS = ("tables", "with", "published_agedb")  # only if competing methods were run


def tidy_csv(report: Report, escape_formulas: bool = False) -> str:
    """Return every cell once, then the files with problems (their path is in the column `row`).

    Args:
        report: The report.
        escape_formulas: Whether `'` is put before texts that a spreadsheet program would run.
    """
    text = io.StringIO()
    columns = (*COLUMNS, *COMPETING_COLUMNS) if report.has_competing else COLUMNS
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    rows: list[dict[str, object]] = []
    for lines in _group_lines(report.tables):
        kinds = dict.fromkeys(kind for kind, _ in lines)
        values = dict(item for _, line in lines for item in line.items() if item[1] is not None)
        rows.append({**values, "tables": ", ".join(kinds)})
    rows += [{"row": one.path, "status": "problem", "reason": one.reason} for one in report.problems]
    for row in rows:
        writer.writerow({key: escaped(value) if escape_formulas else value for key, value in row.items()})
    return text.getvalue()


def _group_lines(tables: Iterable[MetricTable]) -> Iterable[list[tuple[str, dict[str, object]]]]:
    """Return the lines of each row and metric, with the kind of the table of each line."""
    groups: dict[tuple[object, ...], list[tuple[str, dict[str, object]]]] = {}
    for table in tables:
        for line in _constants(table):
            key = ("constant", table.dataset, table.metric, line["variant"])
            groups.setdefault(key, []).append((table.kind, line))
        for cell in table.cells:
            groups.setdefault((table.metric, *cell.row.identity), []).append((table.kind, _line(cell)))
    return groups.values()


def _constants(table: MetricTable) -> Iterable[dict[str, object]]:
    shared = {"dataset": table.dataset, "metric": table.metric, "row": "constant", "label": "constant predictor"}
    return [{**shared, "variant": variant, "mean": value} for variant, value in table.constants.items()]


def _line(cell: Cell) -> dict[str, object]:
    row, gain = cell.row, cell.gain
    of_row = ("dataset", "label", "method", "head", "scheme", "setting", "fingerprint")
    of_cell = ("metric", "status", "mean", "sd", "published", "difference", "reason", "published_agedb")
    return {
        **{name: getattr(row, name) for name in of_row},
        **{name: getattr(cell, name) for name in of_cell},
        "row": row.name,
        "variant": ",".join(row.variant),
        "n": len(cell.values),
        "seeds": " ".join(map(str, cell.values)),
        "gain": gain.mean if gain else None,
        "gain_low": gain.low if gain else None,
        "gain_high": gain.high if gain else None,
        "pairs": gain.pairs if gain else 0,
        "with": " ".join(row.extras),
    }
