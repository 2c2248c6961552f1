"""The report as a tidy CSV: one line for each data set, row and metric, with unrounded numbers."""

import csv
import io
from collections.abc import Iterable

from rnc_lightning.report.table import Cell, MetricTable, Report

COLUMNS = (
    "dataset", "metric", "row", "label", "method", "head", "scheme", "variant", "status", "mean", "sd", "n", "seeds",
    "gain", "gain_low", "gain_high", "pairs", "published", "difference", "reason", "setting", "fingerprint",
)  # fmt: skip


def tidy_csv(report: Report) -> str:
    """Every cell of every table, then the files with problems (their path stands in `row`)."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for table in report.tables:
        writer.writerows(_constants(table))
        writer.writerows(_line(cell) for cell in table.cells)
    for problem in report.problems:
        writer.writerow({"row": problem.path, "status": "problem", "reason": problem.reason})
    return text.getvalue()


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
    }
