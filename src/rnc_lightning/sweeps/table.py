"""What is printed at the end of a sweep: a table of its runs, the failures with their logs, and the best run."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnc_lightning.numerics.number_text import format_number
from rnc_lightning.sweeps.record import FAILED, FINISHED, READ, JobRecord, differing_options

_COLOURS = {FINISHED: "green", READ: "green", FAILED: "red"}


def print_sweep(records: Sequence[JobRecord], folder: Path, metric: str, console: Console) -> None:
    """Print the table, then a line for each job that failed."""
    names = {number: " ".join(options) for number, options in differing_options(records).items()}
    table = Table(title=f"sweep of {len(records)} {'run' if len(records) == 1 else 'runs'}")
    table.add_column("", justify="right")
    table.add_column("run", overflow="fold")
    table.add_column("status")
    table.add_column(metric, justify="right")
    table.add_column("seconds", justify="right")
    for record in records:
        status = Text(record.status, style=_COLOURS.get(record.status, "yellow"))
        value = format_number(record.value, trim=True)
        seconds = "-" if record.seconds is None else f"{record.seconds:.0f}"
        table.add_row(str(record.number), Text(names[record.number]), status, value, seconds)
    console.print(table)
    failed = [record for record in records if record.status == FAILED]
    if failed:
        console.print(f"{len(failed)} of {len(records)} failed:", style="red")
    for record in failed:
        line = f"  {record.number} ({names[record.number]}): {record.reason}; see {record.log}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"sweep directory: {folder}", markup=False, soft_wrap=True)


def print_best(records: Sequence[JobRecord], metric: str, direction: str, console: Console) -> None:
    """Print the best run of a search and the command that repeats it; nothing if no run has a value.

    Args:
        records: The jobs.
        metric: Name of their value.
        direction: `minimize` or `maximize`.
        console: Console to print to.
    """
    values = {record: record.value for record in records if record.value is not None}
    if not values:
        return
    best = (max if direction == "maximize" else min)(values, key=values.__getitem__)
    value = format_number(best.value, digits=6, trim=True)
    console.print(f"best: {metric} {value} (run {best.number}), in {best.run}", markup=False, soft_wrap=True)
    command = f"  python -m rnc_lightning.train {shlex.join(best.overrides)}"
    console.print(command, markup=False, highlight=False, soft_wrap=True)
