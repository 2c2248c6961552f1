"""The report on a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnc_lightning.reports.table import MetricTable, Report
from rnc_lightning.reports.text import LEGEND, Line, Matrix, columns, groups, lines, matrices, table_title


def print_report(report: Report, console: Console) -> None:
    """Warnings, the tables, notes, problems and what the numbers rest on."""
    for warning in report.warnings:
        console.print(Text(f"warning: {warning}", style="bold yellow"))
    for matrix in matrices(report):
        console.print(_matrix(matrix))
    for table in report.tables:
        console.print(_table(table))
    console.print(Text(LEGEND, style="dim"))
    for note in report.notes:
        console.print(Text(f"note: {note}"))
    for problem in report.problems:
        console.print(Text(f"problem: {problem.path}: {problem.reason}", style="bold red"))
    for title, text in report.facts.items():
        console.print(Text(f"{title}: {text}", style="dim"))


def _table(table: MetricTable) -> Table:
    shown = Table(title=Text(table_title(table)), title_justify="left", title_style="bold", padding=(0, 1))
    shown.add_column("method", overflow="fold")
    for column in columns(table):
        shown.add_column(column.title, justify="right", overflow="fold")
    constants, methods = lines(table)
    for line in constants:
        shown.add_row(*_cells(line, table), style="dim")
    for title, found in groups(methods):
        shown.add_section()
        if title:
            shown.add_row(Text(title, style="italic"))
        for line in found:
            shown.add_row(*_cells(line, table), style=None if line.measured else "dim")
    return shown


def _cells(line: Line, table: MetricTable) -> list[Text]:
    return [_label(line.label, line.details), *(Text(line.texts.get(column.key, "")) for column in columns(table))]


def _matrix(matrix: Matrix) -> Table:
    title = Text(f"{matrix.title[0].lower()}{matrix.title[1:]}")
    shown = Table(title=title, title_justify="left", title_style="bold")
    shown.add_column("method", overflow="fold")
    for heading in matrix.headings:
        shown.add_column(Text(heading), justify="right", overflow="fold")
    for label, details, texts in matrix.body:
        shown.add_row(_label(label, details), *map(Text, texts))
    return shown


def _label(label: str, details: str) -> Text:
    return Text.assemble(label, (f"\n{details}", "dim")) if details else Text(label)
