"""Tables for the terminal, of reports and of studies."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnc_lightning.reports.table import MetricTable, Report
from rnc_lightning.reports.text import LEGEND, Line, columns, groups, lines, matrices, table_title


def print_report(report: Report, console: Console) -> None:
    """Print warnings, tables, notes, problems and where the numbers come from."""
    for warning in report.warnings:
        console.print(Text(f"warning: {warning}", style="bold yellow"))
    for matrix in matrices(report):
        rows: list[list[str | Text]] = [[_label(label, details), *texts] for label, details, texts in matrix.body]
        title = f"{matrix.title[0].lower()}{matrix.title[1:]}"
        console.print(text_table(title, ["method", *matrix.headings], rows))
    for table in report.tables:
        console.print(_metric_table(table))
    console.print(Text(LEGEND, style="dim"))
    for note in report.notes:
        console.print(Text(f"note: {note}"))
    for problem in report.problems:
        console.print(Text(f"problem: {problem.path}: {problem.reason}", style="bold red"))
    for title, text in report.facts.items():
        console.print(Text(f"{title}: {text}", style="dim"))


def text_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str | Text]] = ()) -> Table:
    """Return a table whose texts are shown as they are, without markup; all columns but the first are right-aligned."""
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for position, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if position else "left", overflow="fold")
    for row in rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Sequence[str | Text]) -> list[Text]:
    return [Text(cell) if isinstance(cell, str) else cell for cell in row]


def _metric_table(table: MetricTable) -> Table:
    shown = columns(table)
    constants, methods = lines(table)
    result = text_table(table_title(table), ["method", *shown.values()])

    def add(line: Line, dim: bool) -> None:
        cells: list[str | Text] = [_label(line.label, line.details), *(line.texts.get(key, "") for key in shown)]
        result.add_row(*_cells(cells), style="dim" if dim else None)

    for line in constants:
        add(line, dim=True)
    for title, group in groups(methods):
        result.add_section()
        if title:
            result.add_row(Text(title, style="italic"))
        for line in group:
            add(line, dim=not line.measured)
    return result


def _label(label: str, details: str) -> Text:
    return Text.assemble(label, (f"\n{details}", "dim")) if details else Text(label)
