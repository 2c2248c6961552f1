"""The findings of a study: tables, a figure and claims, written to files and printed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from rnc_lightning.reports.claims import Claim, claims_table, write_claims
from rnc_lightning.reports.markdown import markdown_table
from rnc_lightning.reports.provenance import count_runs, list_counts
from rnc_lightning.reports.terminal import rich_table
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.system.files import write_text


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        title: Its title.
        headings: One per column.
        rows: The texts of the cells.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Findings:
    """The findings of a study.

    Attributes:
        tables: The tables to show.
        claims: What the paper claims and what was measured.
        data: All numbers, one row per run or condition.
        draw: Draws the figure into a file; None if there is no figure.
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
    synthetic = any(run.result["synthetic_data"] for run in runs)
    parts = [f"# {title}", question]
    parts += ["**Synthetic data**: computer-generated, not real."] if synthetic else []
    if findings.draw is not None:
        parts.append(f"![{title}]({figure.name})")
    for table in findings.tables:
        parts += [f"## {table.title}", markdown_table(table.headings, table.rows)]
    parts += ["## Claims", markdown_table(CLAIM_HEADINGS, claims_table(findings.claims))] if findings.claims else []
    parts += ["\n".join(f"- {note}" for note in findings.notes)] if findings.notes else []
    parts += ["## Provenance", "\n".join(f"- {line}" for line in describe_runs(runs))]
    write_text(out / "results.md", "\n\n".join(parts) + "\n")


CLAIM_HEADINGS = ("claim", "published", "measured (95 percent interval)", "verdict")


def print_findings(findings: Findings, out: Path, console: Console) -> None:
    """Print the tables, the claims, and the paths of the files."""
    for table in findings.tables:
        console.print(rich_table(table.title, table.headings, table.rows))
    if findings.claims:
        console.print(rich_table("Claims", CLAIM_HEADINGS, claims_table(findings.claims)))
    for note in findings.notes:
        console.print(note, markup=False)
    console.print(f"results: {out / 'results.md'}", soft_wrap=True)
    if findings.draw is not None:
        console.print(f"figure: {out / 'figure.png'}", soft_wrap=True)


def describe_runs(runs: Sequence[StudyRun]) -> list[str]:
    """Describe the runs: number of runs and seeds, data, machines, code, training time."""
    results = [run.result for run in runs]
    data = list_counts(f"{result['dataset']} ({result['data_fingerprint']})" for result in results)
    machines = list_counts(
        f"{result['machine']['processor']}, {result['machine'].get('gpu', 'no GPU')}" for result in results
    )
    seeds = ", ".join(map(str, sorted({run.seed for run in runs})))
    return [
        f"{count_runs(len(runs))}, seeds {seeds}",
        f"data (fingerprint): {data}",
        f"machines: {machines}",
        f"git revisions: {list_counts(str(result['git_revision']) for result in results)}",
        f"training time: {sum(result['seconds'] for result in results) / 60:.0f} minutes in all",
    ]
