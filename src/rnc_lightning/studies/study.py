"""Train, measure, write and print one study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from rnc_lightning.system.errors import UserError


def run_study(
    name: str, options: Sequence[str], *, seeds: int | None, slots: int, runs: Path, out: Path | None
) -> bool:
    """Train what is missing, measure, write and print one study.

    Args:
        name: Name of a YAML file in `conf/study/`.
        options: Options of the study and of training.
        seeds: Number of seeds, at least 1; None for the study's own.
        slots: Number of runs at once, at least 1.
        runs: Folder of the runs.
        out: Folder of the results; `<runs>/<name>_<data>` by default.

    Returns:
        Whether all runs finished successfully.

    Raises:
        UserError: For anything the user can fix.
    """
    from rnc_lightning.studies.findings import print_findings, write_findings
    from rnc_lightning.studies.settings import load_study
    from rnc_lightning.studies.training import train_missing

    console = Console()
    chosen = load_study(name, options, runs, seeds)
    phases = chosen.study.phases(chosen.bench)
    all_runs = [run for phase in phases for run in phase]
    console.rule(f"{name}, {chosen.bench.data}")
    console.print(chosen.study.question, markup=False)
    missing = len({run.path for run in all_runs if not run.finished})
    console.print(f"{len(all_runs)} runs, {missing} of them to be trained: {runs}", soft_wrap=True, markup=False)
    failed: dict[Path, str] = {}
    for phase in phases:
        failed |= train_missing(phase, slots, console)
    finished = [run for run in all_runs if run.path not in failed and run.finished]
    if not finished:
        raise UserError(f"{name}: no run finished", list_failures(failed))
    folder = out or runs / f"{name}_{chosen.bench.data}"
    findings = chosen.study.findings(finished)
    write_findings(findings, chosen.study.title, chosen.study.question, finished, folder)
    print_findings(findings, folder, console)
    for line in list_failures(failed):
        console.print(f"failed: {line}", soft_wrap=True, markup=False)
    return not failed


def list_failures(failed: Mapping[Path, str]) -> list[str]:
    """Return one line per reason why runs failed.

    >>> list_failures({Path("a"): "no file", Path("b"): "no file", Path("c"): "no rate"})
    ['a and 1 more: no file', 'c: no rate']
    """
    lines = []
    for reason in dict.fromkeys(failed.values()):
        first, *more = [path for path, other in failed.items() if other == reason]
        lines.append(f"{first}{f' and {len(more)} more' if more else ''}: {reason}")
    return lines
