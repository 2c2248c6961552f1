"""The report as Markdown with tables."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rnc_lightning.reports.table import Report
from rnc_lightning.reports.text import LEGEND, Line, TextTable, figure_text, report_title, text_tables


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
    for table in text_tables(report):
        parts += [f"## {escape(table.title)}", _table(table)]
    parts.append(LEGEND)
    parts += ["## Notes", _list(report.notes)] if report.notes else []
    if report.problems:
        parts += ["## Files with problems", _list(f"{problem.path}: {problem.reason}" for problem in report.problems)]
    parts += ["## Provenance", _list(f"{title}: {text}" for title, text in report.facts.items())]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    r"""Escape text so that Markdown shows it unchanged.

    >>> print(escape("a|b <i> *x*"))
    a\|b &lt;i&gt; \*x\*
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|~#$])", r"\\\1", text)


def _table(table: TextTable) -> str:
    rows = []
    for heading, lines in (("", table.constants), *table.groups):
        rows += [[f"*{escape(heading)}*", *[""] * len(table.columns)]] if heading else []
        rows += [[_label(line), *map(escape, table.cells(line))] for line in lines]
    return markdown_table(["method", *map(escape, table.columns.values())], rows)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells in Markdown; bars are escaped, all columns except the first are right-aligned."""
    rule = ["---", *["---:"] * (len(headings) - 1)]
    lines = [" | ".join(re.sub(r"(?<!\\)\|", r"\|", cell) for cell in cells) for cells in (headings, rule, *rows)]
    return "\n".join(f"| {line} |" for line in lines)


def _label(line: Line) -> str:
    return f"{escape(line.label)}<br>{escape(line.details)}" if line.details else escape(line.label)


def _list(entries: Iterable[str]) -> str:
    return "\n".join(f"- {escape(entry)}" for entry in entries)
