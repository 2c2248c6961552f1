"""What a sweep remembers of its jobs and shows at its end, whichever launcher runs them.

A Hydra callback (`hydra.callbacks.sweep` in conf/train.yaml) writes one record a job; `run_and_show_sweep` shows them.
Hydra itself reports nothing of a failed job before the last one has ended, and then raises the first failure only.
"""

import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from rnc_lightning.command_line.messages import FULL_ERROR, format_error, reason
from rnc_lightning.runs.directory import RESULT, RunDirectory
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.sweeps import record as sweep_record
from rnc_lightning.sweeps.record import FAILED, FINISHED, READ, JobRecord
from rnc_lightning.sweeps.table import best_of, print_best, print_sweep
from rnc_lightning.system.errors import UserError


class Sweep(Callback):
    """The sweep that runs in this process; a launcher may hand a copy of it to the processes of its jobs."""

    current: ClassVar["Sweep | None"] = None

    def __init__(self) -> None:
        self.folder = Path()
        self.metric = ""
        self.direction: str | None = None  # of a search
        self.whole_errors = FULL_ERROR  # also in the processes of jobs, where the variable no longer tells it
        self.basic = True
        self.words: tuple[str, ...] = ()  # of the sweep's command
        self._begun: dict[int, float] = {}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin the sweep's record."""
        self.folder = Path(config.hydra.sweep.dir)
        self.metric = config.optimized_metric
        sweeper = config.hydra.sweeper
        direction = sweeper.get("direction")
        self.direction = str(getattr(direction, "name", direction)) if direction is not None else None
        self.basic = str(sweeper.get("_target_")).endswith(".BasicSweeper")
        self.words = tuple(config.hydra.overrides.task)
        sweep_record.delete_records(self.folder)
        Sweep.current = self

    def on_job_start(self, config: DictConfig, *, task_function: Any = None, **kwargs: Any) -> None:
        """Note that a job has begun, so that one which is killed is missed."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        number = int(config.hydra.job.num)
        self._begun[number] = time.time()
        overrides = tuple(config.hydra.overrides.task)
        JobRecord(number, overrides, run=_run(config, overrides)).write(self.folder)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Note what became of the job, and say at once where it failed."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        number = int(config.hydra.job.num)
        began = self._begun.pop(number, time.time())
        overrides = tuple(config.hydra.overrides.task)
        record = JobRecord(number, overrides, seconds=time.time() - began, run=_run(config, overrides))
        if job_return.status == JobStatus.COMPLETED:
            value = job_return.return_value
            number_like = isinstance(value, int | float) and value == value
            status = FINISHED if _changed(Path(record.run, RESULT), began) else READ
            replace(record, status=status, value=float(value) if number_like else None).write(self.folder)
            return
        error = job_return._return_value
        record = replace(record, status=FAILED, reason=reason(error), log=str(self._log(record, error, began)))
        record.write(self.folder)
        if self.whole_errors:
            traceback.print_exception(error)
        words = " ".join(sweep_record.swept_options(overrides, self.words))
        print(f"error: run {number} ({words}): {record.reason}; see {record.log}", file=sys.stderr, flush=True)
        if self.basic:  # it would raise this one error and leave out later batches; a search has to know of failures
            job_return.status = JobStatus.COMPLETED
            job_return.return_value = None

    def _log(self, record: JobRecord, error: BaseException, began: float) -> Path:
        """Where the failure is told in full: in the run's directory, in the job's own log, or now written."""
        in_run, of_job = RunDirectory(Path(record.run)).error_log, self.folder / f"job_{record.number}.log"
        if record.run and _changed(in_run, began):
            return in_run
        if not _changed(of_job, began):
            of_job.parent.mkdir(parents=True, exist_ok=True)
            of_job.write_text(format_error(error), encoding="utf-8")
        return of_job


def run_and_show_sweep(main: Callable[[], Any]) -> None:
    """Call a Hydra main; where it was a sweep, show how it ended, and exit with 1 where a job failed."""
    Sweep.current = None
    try:
        main()
    except KeyboardInterrupt:
        _show(stopped=True)
        raise
    except Exception as error:
        records = _show()
        if not _told(error, records):
            raise
    else:
        records = _show()
    if any(record.status == FAILED for record in records):
        sys.exit(1)


def _show(stopped: bool = False) -> list[JobRecord]:
    sweep = Sweep.current
    records = sweep_record.close_records(sweep_record.read_records(sweep.folder), stopped) if sweep else []
    if sweep and records:
        console = Console()
        print_sweep(records, sweep.folder, sweep.metric, console)
        best = best_of(records, sweep.direction) if sweep.direction in ("minimize", "maximize") else None
        if best is not None:
            print_best(best, sweep.metric, console)
    return records


def _told(error: Exception, records: list[JobRecord]) -> bool:
    """Whether the list of failures says already what the sweeper raises at its end."""
    failed = [record for record in records if record.status == FAILED]
    nothing_finished = bool(failed) and len(failed) == len(records)  # a search without a single value, say
    return nothing_finished or reason(error) in {record.reason for record in failed}


def _run(config: DictConfig, overrides: tuple[str, ...]) -> str:
    """The run's directory, or nothing where its configuration does not resolve: the job then says why."""
    try:
        task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        return str(RunRequest.read(task, overrides).path)
    except UserError:
        return ""


def _changed(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime >= since - 0.01  # clocks of file systems are coarse
    except OSError:
        return False
