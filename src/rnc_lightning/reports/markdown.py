"""The report as Markdown with tables."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnc_lightning.reports.table import MetricTable, Report
from rnc_lightning.reports.text import LEGEND, columns, figure_text, groups, lines, matrices, report_title, table_title


def markdown(report: Report, picture: Path | None = None) -> str:
    """Return the whole report.

    Args:
        report: The report.
        picture: The figure, in the same folder as the Markdown file.
    """
    parts = [f"# {report_title(report)}"]
    parts += [f"> **Warning:** {escape(warning)}" for warning in report.warnings]
    if picture is not None:
        parts.append(f"![{figure_text(report)}]({picture.name})")
    for matrix in matrices(report):
        rows = [[_label(label, details), *map(escape, texts)] for label, details, texts in matrix.body]
        parts += [f"## {matrix.title}", markdown_table(["method", *map(escape, matrix.headings)], rows)]
    for table in report.tables:
        parts += [f"## {escape(table_title(table))}", _metric_table(table)]
    parts.append(LEGEND)
    parts += ["## Notes", _list(report.notes)] if report.notes else []
    if report.problems:
        parts += ["## Files with problems", _list(f"{problem.path}: {problem.reason}" for problem in report.problems)]
    parts += ["## What this rests on", _list(f"{title}: {text}" for title, text in report.facts.items())]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape text so that Markdown shows it unchanged.

    >>> print(escape("a|b <i> *x*"))
    a\|b &lt;i&gt; \*x\*
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#$])", r"\\\1", text)


def _metric_table(table: MetricTable) -> str:
    shown = columns(table)
    constants, methods = lines(table)
    rows = []
    for title, group in (("", constants), *groups(methods)):
        rows += [[f"*{escape(title)}*", *[""] * len(shown)]] if title else []
        rows += [
            [_label(line.label, line.details), *(escape(line.texts.get(key, "")) for key in shown)] for line in group
        ]
    return markdown_table(["method", *map(escape, shown.values())], rows)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells in Markdown; bars are escaped, all columns except the first are right-aligned."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    lines = [" | ".join(re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells) for cells in (headings, rule, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _label(label: str, details: str) -> str:
    return f"{escape(label)}<br>{escape(details)}" if details else escape(label)


def _list(entries: Iterable[str]) -> str:
    return "\n".join(f"- {escape(entry)}" for entry in entries)
