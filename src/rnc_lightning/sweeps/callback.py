"""Record the jobs of a sweep and show them at its end, with any launcher.

A Hydra callback (`hydra.callbacks.sweep` in conf/train.yaml) writes one record per job; `run_and_show_sweep` prints
them. Hydra itself reports failed jobs only after the last job, and then raises only the first failure.
"""

import os
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
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
from rnc_lightning.sweeps.record import (
    FAILED,
    FINISHED,
    READ,
    JobRecord,
    close_records,
    delete_records,
    read_records,
    swept_options,
)
from rnc_lightning.sweeps.table import print_best, print_sweep
from rnc_lightning.system.errors import UserError
from rnc_lightning.tracking.wandb_variables import refuse_one_id_for_many


class Sweep(Callback):
    """The callback of the sweep that runs in this process; a launcher may copy it to the processes of its jobs."""

    current: ClassVar["Sweep | None"] = None

    def __init__(self) -> None:
        self.folder = Path()
        self.metric = ""
        self.direction: str | None = None  # of a search
        self.full_errors = FULL_ERROR  # copied to the processes of jobs, where the variable has another meaning
        self.basic = True
        self.options: tuple[str, ...] = ()  # of the sweep's command
        self._started: dict[int, float] = {}

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Start the sweep's records; a sweep whose runs would share one W&B run ends here."""
        try:
            refuse_one_id_for_many((config.get("logger") or {}).values(), os.environ)
        except UserError as error:  # Hydra only warns of errors in callbacks
            print(f"error: {error}", file=sys.stderr)
            sys.exit(1)
        self.folder = Path(config.hydra.sweep.dir)
        self.metric = config.optimized_metric
        sweeper = config.hydra.sweeper
        direction = sweeper.get("direction")
        self.direction = str(getattr(direction, "name", direction)) if direction is not None else None
        self.basic = str(sweeper.get("_target_")).endswith(".BasicSweeper")
        self.options = tuple(config.hydra.overrides.task)
        delete_records(self.folder)
        Sweep.current = self

    def on_job_start(self, config: DictConfig, *, task_function: Any = None, **kwargs: Any) -> None:
        """Record that a job has started, so that a killed job is noticed."""
        if config.hydra.mode == RunMode.MULTIRUN:
            record = _new_record(config)
            self._started[record.number] = time.time()
            record.write(self.folder)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Record the outcome of the job; report a failure at once."""
        if config.hydra.mode != RunMode.MULTIRUN:
            return
        record = _new_record(config)
        started = self._started.pop(record.number, time.time())
        record = replace(record, seconds=time.time() - started)
        if job_return.status == JobStatus.COMPLETED:
            value = job_return.return_value
            is_number = isinstance(value, int | float) and value == value
            status = FINISHED if _changed(Path(record.run, RESULT), started) else READ
            replace(record, status=status, value=float(value) if is_number else None).write(self.folder)
            return
        error = job_return._return_value
        record = replace(record, status=FAILED, reason=reason(error), log=str(self._find_log(record, error, started)))
        record.write(self.folder)
        if self.full_errors:
            traceback.print_exception(error)
        options = " ".join(swept_options(record.overrides, self.options))
        print(f"error: run {record.number} ({options}): {record.reason}; see {record.log}", file=sys.stderr, flush=True)
        if self.basic:  # Hydra's sweeper would raise this error and skip later batches; a search must see failures
            job_return.status = JobStatus.COMPLETED
            job_return.return_value = None

    def _find_log(self, record: JobRecord, error: BaseException, started: float) -> Path:
        """The file with the whole failure: in the run's directory, or the job's log, which is written if needed."""
        run_log, job_log = RunDirectory(Path(record.run)).error_log, self.folder / f"job_{record.number}.log"
        if record.run and _changed(run_log, started):
            return run_log
        if not _changed(job_log, started):
            job_log.parent.mkdir(parents=True, exist_ok=True)
            job_log.write_text(format_error(error), encoding="utf-8")
        return job_log


def run_and_show_sweep(main: Callable[[], Any]) -> None:
    """Call a Hydra main function; after a sweep print its outcome, and exit with 1 if a job failed."""
    Sweep.current = None
    try:
        main()
    except KeyboardInterrupt:
        _show(stopped=True)
        raise
    except Exception as error:
        records = _show()
        if not _already_reported(error, records):
            raise
    else:
        records = _show()
    if any(record.status == FAILED for record in records):
        sys.exit(1)


def _show(stopped: bool = False) -> list[JobRecord]:
    sweep = Sweep.current
    records = close_records(read_records(sweep.folder), stopped) if sweep else []
    if sweep and records:
        console = Console()
        print_sweep(records, sweep.folder, sweep.metric, console)
        if sweep.direction in ("minimize", "maximize"):
            print_best(records, sweep.metric, sweep.direction, console)
    return records


def _already_reported(error: Exception, records: list[JobRecord]) -> bool:
    """Whether the list of failures already contains the error that the sweeper raises at its end."""
    failed = [record for record in records if record.status == FAILED]
    all_failed = bool(failed) and len(failed) == len(records)  # for example a search without a single value
    return all_failed or reason(error) in {record.reason for record in failed}


def _new_record(config: DictConfig) -> JobRecord:
    """A job's record; its directory is left empty if the configuration cannot be resolved: the job reports why."""
    overrides = tuple(config.hydra.overrides.task)
    run = ""
    with suppress(UserError):
        task = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        run = str(RunRequest.read(task, overrides).path)
    return JobRecord(int(config.hydra.job.num), overrides, run=run)


def _changed(path: Path, since: float) -> bool:
    try:
        return path.stat().st_mtime >= since - 0.01  # time stamps of file systems are coarse
    except OSError:
        return False
