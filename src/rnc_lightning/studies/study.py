"""Train, measure, write and show one study."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from rnc_lightning.system.errors import UserError


def study(name: str, words: Sequence[str], *, seeds: int | None, slots: int, runs: Path, out: Path | None) -> bool:
    """Train, measure, write and show one study.

    Args:
        name: Of a YAML in `conf/study/`.
        words: Of the command line.
        seeds: Number of seeds; None: the study's own.
        slots: Runs at once.
        runs: Folder of the runs.
        out: Where results are written; None: `<runs>/<name>_<data>`.

    Returns:
        Whether all runs ended well.

    Raises:
        UserError: For whatever the user can mend.
    """
    from rnc_lightning.studies.findings import show_findings, write_findings
    from rnc_lightning.studies.settings import load_study
    from rnc_lightning.studies.training import train_missing

    for key, number in (("slots", slots), ("seeds", seeds)):
        if number is not None and number < 1:
            raise UserError(f"{key}={number}: must be a whole number from 1 up")
    console = Console()
    chosen = load_study(name, words, runs, seeds)
    phases = chosen.study.phases(chosen.bench)
    everything = [run for phase in phases for run in phase]
    console.rule(f"{name}, {chosen.bench.data}")
    console.print(chosen.study.question, markup=False)
    lacking = len({run.path for run in everything if not run.finished})
    console.print(f"{len(everything)} runs, {lacking} of them to be trained: {runs}", soft_wrap=True, markup=False)
    failed: dict[Path, str] = {}
    for phase in phases:
        failed |= train_missing(phase, slots, console)
    ended = [run for run in everything if run.path not in failed and run.finished]
    if not ended:
        raise UserError(f"{name}: no run ended well", told(failed))
    place = out or runs / f"{name}_{chosen.bench.data}"
    findings = chosen.study.findings(ended)
    write_findings(findings, chosen.study.title, chosen.study.question, ended, place)
    show_findings(findings, place, console)
    for line in told(failed):
        console.print(f"failed: {line}", soft_wrap=True, markup=False)
    return not failed


def told(failed: Mapping[Path, str]) -> list[str]:
    """A line for each reason why runs failed.

    >>> told({Path("a"): "no file", Path("b"): "no file", Path("c"): "no rate"})
    ['a and 1 more: no file', 'c: no rate']
    """
    lines = []
    for reason in dict.fromkeys(failed.values()):
        first, *more = [path for path, why in failed.items() if why == reason]
        lines.append(f"{first}{f' and {len(more)} more' if more else ''}: {reason}")
    return lines
