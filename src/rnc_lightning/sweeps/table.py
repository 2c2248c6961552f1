"""The end of a sweep as a person sees it: a table of its runs, what failed and where its log is, the best one."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rnc_lightning.sweeps.record import FAILED, FINISHED, READ, JobRecord, differing_options

_COLOURS = {FINISHED: "green", READ: "green", FAILED: "red"}


def print_sweep(records: Sequence[JobRecord], folder: Path, metric: str, console: Console) -> None:
    """Print the table, then a line for each job that failed."""
    words = differing_options(records)
    table = Table(title=f"sweep of {len(records)} {'run' if len(records) == 1 else 'runs'}")
    table.add_column("", justify="right")
    table.add_column("run", overflow="fold")
    table.add_column("status")
    table.add_column(metric, justify="right")
    table.add_column("seconds", justify="right")
    for record in records:
        colour = _COLOURS.get(record.status, "yellow")
        value = "-" if record.value is None else f"{record.value:.4g}"
        seconds = "-" if record.seconds is None else f"{record.seconds:.0f}"
        shown = " ".join(words[record.number]).replace("[", r"\[")
        table.add_row(str(record.number), shown, f"[{colour}]{record.status}[/]", value, seconds)
    console.print(table)
    failed = [record for record in records if record.status == FAILED]
    if failed:
        console.print(f"{len(failed)} of {len(records)} failed:", style="red")
    for record in failed:
        line = f"  {record.number} ({' '.join(words[record.number])}): {record.reason}; see {record.log}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(f"sweep directory: {folder}", soft_wrap=True)


def best_of(records: Sequence[JobRecord], direction: str) -> JobRecord | None:
    """The job with the smallest value, or the largest where that is sought."""
    with_value = [record for record in records if record.value is not None]
    if not with_value:
        return None
    sign = -1.0 if direction == "maximize" else 1.0
    return min(with_value, key=lambda record: sign * (record.value or 0.0))


def print_best(record: JobRecord, metric: str, console: Console) -> None:
    """Print the best run of a search and the command that gives it."""
    console.print(f"best: {metric} {record.value:.6g} (run {record.number}), in {record.run}", soft_wrap=True)
    command = f"  python -m rnc_lightning.train {shlex.join(record.overrides)}"
    console.print(command, markup=False, highlight=False, soft_wrap=True)
