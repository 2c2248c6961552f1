"""Training what a study still lacks, one run after the other or several side by side."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rnc_lightning.runs.handover import Handover
from rnc_lightning.runs.run import count_processes, run_request
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.processes import describe_exit_code
from rnc_lightning.system.scheduler import GpuPool, Job, gpus_needed, run_jobs, visible_gpus

log = logging.getLogger(__name__)


def train_missing(runs: Sequence[StudyRun], slots: int, console: Console) -> dict[Path, str]:
    """Train the runs that are not finished; those that fail stop no other.

    Args:
        runs: In the order in which they are to be trained.
        slots: How many at once: one is trained in this process, several each in a process of its own.
        console: Gets the progress bar.

    Returns:
        For each directory of a run that failed, why.
    """
    waiting = list({run.path: run for run in runs if not run.finished}.values())
    if not waiting:
        return {}
    failed: dict[Path, str] = {}
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress, _log_below_warnings_left_out():
        bar = progress.add_task("training", total=len(waiting))

        def ended(run: StudyRun, reason: str | None) -> None:
            if reason is not None and reason not in failed.values():  # once, where all lack the same file
                progress.console.print(f"failed: {run.path}: {reason}", soft_wrap=True, markup=False)
            if reason is not None:
                failed[run.path] = reason
            progress.advance(bar)

        if slots == 1:
            for run in waiting:
                progress.update(bar, description=f"{run.method}, seed {run.seed}")
                ended(run, _trained_here(run))
        else:
            _train_side_by_side(waiting, slots, ended)
    return failed


def _trained_here(run: StudyRun) -> str | None:
    try:
        run_request(run.request, Console(quiet=True))
    except UserError as error:
        return str(error)
    except Exception as error:
        log.debug("%s", run.path, exc_info=error)
        return f"{type(error).__name__}: {error}"
    return None


def _train_side_by_side(runs: Sequence[StudyRun], slots: int, ended: Callable[[StudyRun, str | None], None]) -> None:
    gpus = visible_gpus()
    with tempfile.TemporaryDirectory() as folder:

        def jobs() -> Iterator[Job]:
            for number, run in enumerate(runs):
                task = Path(folder) / str(number)
                Handover(task).write_request(run.request)
                trainer = run.request.trainer
                count = count_processes(trainer)
                yield Job(number, task, task / "log.txt", gpus_needed(trainer, count, gpus, slots), count)

        def job_ended(job: Job, code: int) -> None:
            outcome = Handover(job.task).outcome()
            ended(runs[job.number], describe_exit_code(code) if outcome is None else outcome.message or None)

        run_jobs(jobs(), GpuPool(gpus, slots), lambda job: None, job_ended)


@contextmanager
def _log_below_warnings_left_out() -> Iterator[None]:
    package = logging.getLogger("rnc_lightning")
    before = package.level
    package.setLevel(logging.WARNING)
    try:
        yield
    finally:
        package.setLevel(before)
