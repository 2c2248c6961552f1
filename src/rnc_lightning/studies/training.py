"""Train the missing runs of a study, one after the other or several in parallel."""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from rnc_lightning.datasets.reading.data_identity import DataIdentity
from rnc_lightning.runs.comparison import check_finished
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.runs.handover import Handover
from rnc_lightning.runs.run import count_processes, run_request
from rnc_lightning.studies.bench import StudyRun
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.processes import describe_exit_code
from rnc_lightning.system.scheduler import GpuPool, Job, gpus_needed, run_jobs, visible_gpus
from rnc_lightning.tracking.wandb_variables import refuse_one_id_for_many

log = logging.getLogger(__name__)


def train_missing(runs: Sequence[StudyRun], slots: int, console: Console) -> dict[Path, str]:
    """Train the runs that are not finished; a run that fails does not stop the others.

    Args:
        runs: The runs, in the order of training.
        slots: How many at once: one trains in this process, several train in a process each.
        console: Shows the progress bar.

    Returns:
        Directory of each failed run -> why it failed; also of each finished one whose data have changed since.

    Raises:
        UserError: If all runs would write into one W&B run.
    """
    waiting = list({run.path: run for run in runs if not run.finished}.values())
    failed = _outdated(runs)
    if not waiting:
        return failed
    if len(waiting) > 1:
        refuse_one_id_for_many((one for run in waiting for one in run.request.config["logger"].values()), os.environ)
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, TimeRemainingColumn(), console=console) as progress, _log_warnings_only():
        bar = progress.add_task("training", total=len(waiting))

        def record_end(run: StudyRun, reason: str | None) -> None:
            if reason is not None:
                if reason not in failed.values():  # print it once, as when the same file is missing for all runs
                    progress.console.print(f"failed: {run.path}: {reason}", soft_wrap=True, markup=False)
                failed[run.path] = reason
            progress.advance(bar)

        if slots == 1:
            for run in waiting:
                progress.update(bar, description=f"{run.method}, seed {run.seed}")
                record_end(run, _train_here(run))
        else:
            _train_in_parallel(waiting, slots, record_end)
    return failed


def _outdated(runs: Sequence[StudyRun]) -> dict[Path, str]:
    """The finished runs whose data have changed since, with the reason; each data set is read once."""
    reasons: dict[Path, str] = {}
    known: dict[str, DataIdentity] = {}
    for path, run in {run.path: run for run in runs if run.finished}.items():
        try:
            check_finished(run.request, RunDirectory(path), run.result, known)
        except UserError as error:
            reasons[path] = str(error)
    return reasons


def _train_here(run: StudyRun) -> str | None:
    try:
        run_request(run.request, Console(quiet=True))
    except UserError as error:
        return str(error)
    except Exception as error:
        log.debug("%s", run.path, exc_info=error)
        return f"{type(error).__name__}: {error}"
    return None


def _train_in_parallel(
    runs: Sequence[StudyRun], slots: int, record_end: Callable[[StudyRun, str | None], None]
) -> None:
    gpus = visible_gpus()
    with tempfile.TemporaryDirectory() as folder:

        def jobs() -> Iterator[Job]:
            for number, run in enumerate(runs):
                task = Path(folder) / str(number)
                Handover(task).write_request(run.request)
                count = count_processes(run.request.trainer)
                needed = gpus_needed(run.request.trainer, count, gpus, slots)
                yield Job(number, task, task / "log.txt", needed, count)

        def job_ended(job: Job, code: int) -> None:
            outcome = Handover(job.task).outcome()
            record_end(runs[job.number], describe_exit_code(code) if outcome is None else outcome.message or None)

        run_jobs(jobs(), GpuPool(gpus, slots), lambda job: None, job_ended)


@contextmanager
def _log_warnings_only() -> Iterator[None]:
    package = logging.getLogger("rnc_lightning")
    before = package.level
    package.setLevel(logging.WARNING)
    try:
        yield
    finally:
        package.setLevel(before)
