"""Tables for the terminal, of reports and of studies."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnc_lightning.reports.table import Report
from rnc_lightning.reports.text import LEGEND, Line, TextTable, text_tables


def print_report(report: Report, console: Console) -> None:
    """Print warnings, tables, notes, problems and where the numbers come from."""
    for warning in report.warnings:
        console.print(Text(f"warning: {warning}", style="bold yellow"))
    for table in text_tables(report):
        console.print(_report_table(table))
    console.print(Text(LEGEND, style="dim"))
    for note in report.notes:
        console.print(Text(f"note: {note}"))
    for problem in report.problems:
        console.print(Text(f"problem: {problem.path}: {problem.reason}", style="bold red"))
    for title, text in report.facts.items():
        console.print(Text(f"{title}: {text}", style="dim"))


def rich_table(title: str, headings: Sequence[str], rows: Iterable[Sequence[str]] = ()) -> Table:
    """Return a table that shows its texts as they are, without markup; columns after the first are right-aligned."""
    table = Table(title=Text(title), title_justify="left", title_style="bold")
    for position, heading in enumerate(headings):
        table.add_column(Text(heading), justify="right" if position else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _report_table(table: TextTable) -> Table:
    result = rich_table(table.title, ["method", *table.columns.values()])

    def add(line: Line, dim: bool) -> None:
        label = Text(line.label)
        if line.details:
            label.append(f"\n{line.details}", "dim")
        result.add_row(label, *map(Text, table.cells(line)), style="dim" if dim else None)

    for line in table.constants:
        add(line, dim=True)
    for heading, lines in table.groups:
        result.add_section()
        if heading:
            result.add_row(Text(heading, style="italic"))
        for line in lines:
            add(line, dim=not line.measured)
    return result
