"""The report as a tidy CSV: one line per data set, row and metric, with unrounded numbers."""

import csv
import io
from collections.abc import Iterable

from rnc_lightning.reports.table import Cell, MetricTable, Report

COLUMNS = (
    "dataset", "metric", "row", "label", "method", "head", "scheme", "variant", "status", "mean", "sd", "n", "seeds",
    "gain", "gain_low", "gain_high", "pairs", "published", "difference", "reason", "setting", "fingerprint",
)  # fmt: skip

COMPETING_COLUMNS = ("tables", "with", "published_agedb")  # only if competing methods were run


def tidy_csv(report: Report) -> str:
    """Return every cell once, then the files with problems (their path is in the column `row`)."""
    text = io.StringIO()
    columns = (*COLUMNS, *COMPETING_COLUMNS) if report.has_competing else COLUMNS
    writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for lines in _group_lines(report.tables):
        kinds = dict.fromkeys(kind for kind, _ in lines)
        values = dict(item for _, line in lines for item in line.items() if item[1] is not None)
        writer.writerow({**values, "tables": ", ".join(kinds)})
    for problem in report.problems:
        writer.writerow({"row": problem.path, "status": "problem", "reason": problem.reason})
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
    for variant, value in table.constants.items():
        yield {
            "dataset": table.dataset,
            "metric": table.metric,
            "row": "constant",
            "label": "constant predictor",
            "variant": variant,
            "mean": value,
        }


def _line(cell: Cell) -> dict[str, object]:
    row, gain = cell.row, cell.gain
    return {
        "dataset": row.dataset,
        "metric": cell.metric,
        "row": row.name,
        "label": row.label,
        "method": row.method,
        "head": row.head,
        "scheme": row.scheme,
        "variant": ",".join(row.variant),
        "status": cell.status,
        "mean": cell.mean,
        "sd": cell.sd,
        "n": len(cell.values),
        "seeds": " ".join(map(str, cell.values)),
        "gain": gain.mean if gain else None,
        "gain_low": gain.low if gain else None,
        "gain_high": gain.high if gain else None,
        "pairs": gain.pairs if gain else 0,
        "published": cell.published,
        "difference": cell.difference,
        "reason": cell.reason,
        "setting": row.setting,
        "fingerprint": row.fingerprint,
        "with": " ".join(row.extras),
        "published_agedb": cell.published_agedb,
    }
