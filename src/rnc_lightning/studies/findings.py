"""What a study found: tables, a figure, claims; written as files and shown."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table as RichTable

from rnc_lightning.reports.claims import Claim, claims_table, write_claims
from rnc_lightning.reports.markdown import markdown_table
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.system.files import write_text


@dataclass(frozen=True)
class Table:
    """A table as it is shown.

    Attributes:
        title: What it has.
        headings: One a column.
        rows: Texts.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Findings:
    """What a study found.

    Attributes:
        tables: As they are shown.
        claims: What the paper says and what was measured.
        data: All numbers, a row a run or a condition.
        draw: Draws the figure into a file; None: there is none.
        notes: Sentences below the tables.
    """

    tables: Sequence[Table]
    claims: Sequence[Claim]
    data: pd.DataFrame
    draw: Callable[[Path], Any] | None = None
    notes: Sequence[str] = field(default_factory=tuple)


def write_findings(findings: Findings, title: str, question: str, runs: Sequence[StudyRun], out: Path) -> None:
    """Write `results.md`, `results.csv`, `claims.csv` and `figure.png` into a folder."""
    out.mkdir(parents=True, exist_ok=True)
    figure = out / "figure.png"
    if findings.draw is not None:
        findings.draw(figure)
    write_text(out / "results.csv", findings.data.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    write_claims(out / "claims.csv", findings.claims)
    made = any(run.result["synthetic_data"] for run in runs)
    parts = [f"# {title}", question]
    parts += ["**Synthetic data**: computer-drawn, not real ones."] if made else []
    if findings.draw is not None:
        parts.append(f"![{title}]({figure.name})")
    for table in findings.tables:
        parts += [f"## {table.title}", markdown_table(table.headings, table.rows)]
    parts += ["## Claims", markdown_table(CLAIM_HEADINGS, claims_table(findings.claims))] if findings.claims else []
    parts += ["\n".join(f"- {note}" for note in findings.notes)] if findings.notes else []
    parts += ["## What this rests on", "\n".join(f"- {line}" for line in facts(runs))]
    write_text(out / "results.md", "\n\n".join(parts) + "\n")


CLAIM_HEADINGS = ("claim", "published", "measured (95 percent interval)", "verdict")


def show_findings(findings: Findings, out: Path, console: Console) -> None:
    """Print the tables, the claims, and where all lies."""
    for table in findings.tables:
        console.print(_rich(table))
    if findings.claims:
        console.print(_rich(Table("Claims", CLAIM_HEADINGS, claims_table(findings.claims))))
    for note in findings.notes:
        console.print(note, markup=False)
    console.print(f"results: {out / 'results.md'}", soft_wrap=True)
    if findings.draw is not None:
        console.print(f"figure: {out / 'figure.png'}", soft_wrap=True)


def facts(runs: Sequence[StudyRun]) -> list[str]:
    """Number of runs and seeds, data, machines, code."""
    results = [run.result for run in runs]
    data = Counter(f"{result['dataset']} ({result['data_fingerprint']})" for result in results)
    machines = Counter(_machine(result["machine"]) for result in results)
    revisions = Counter(str(result["git_revision"]) for result in results)
    seeds = ", ".join(map(str, sorted({run.seed for run in runs})))
    return [
        f"{_runs(len(runs))}, seeds {seeds}",
        f"data (fingerprint): {_counted(data)}",
        f"machines: {_counted(machines)}",
        f"git revisions: {_counted(revisions)}",
        f"training time: {sum(result['seconds'] for result in results) / 60:.0f} minutes in all",
    ]


def _machine(machine: dict[str, Any]) -> str:
    return f"{machine['processor']}, {machine.get('gpu', 'no GPU')}"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{value} ({_runs(count)})" for value, count in sorted(counts.items()))


def _rich(table: Table) -> RichTable:
    shown = RichTable(title=table.title)
    for place, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if place else "left")
    for row in table.rows:
        shown.add_row(*row)
    return shown
