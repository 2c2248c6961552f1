"""Wait for jobs and collect their results; a job that ends without a result does not affect the others."""

import logging
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.core.utils import JobReturn, JobStatus

from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)

_ENDED = {
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE", "PREEMPTED",
}  # fmt: skip

_GONE = "no longer known to Slurm"
_CHECK_INTERVAL = 2.0  # seconds between checks of the result files
_QUERY_INTERVAL = 30.0  # seconds between queries to Slurm


def wait_for_jobs(jobs: Sequence[Any], job_overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    """The results of the jobs of a sweep, in order; a job that left no result is a failed run with its log.

    A job has ended when its result file exists. For jobs without one Slurm is asked with `squeue`, which needs no
    accounting; a requeued job has not ended.

    Args:
        jobs: Submitit's jobs.
        job_overrides: The options of the runs.
    """
    array = str(jobs[0].job_id).partition("_")[0]
    log.info("%d jobs submitted; `scancel %s` ends all, logs in %s", len(jobs), array, jobs[0].paths.folder.parent)
    results: dict[int, JobReturn] = {}
    ended: dict[str, str] = {}  # states of jobs without a result that had ended at the last query
    last_query = time.monotonic()
    try:
        while len(results) < len(jobs):
            time.sleep(_CHECK_INTERVAL)
            for i, job in enumerate(jobs):
                if i not in results and _has_result(job):
                    results[i] = _result(job, job_overrides[i])
                    log.info("job %s has ended, %d of %d", job.job_id, len(results), len(jobs))
            if time.monotonic() - last_query >= _QUERY_INTERVAL:
                last_query = time.monotonic()
                open_jobs = {str(job.job_id): i for i, job in enumerate(jobs) if i not in results}
                before, ended = ended, find_ended_jobs(list(open_jobs))
                for name in ended.keys() & before.keys():  # seen twice: a result file may appear late
                    i = open_jobs[name]
                    if not _has_result(jobs[i]):
                        reason = f"job {name} ended without a result ({ended[name]}): {_log(jobs[i])}"
                        results[i] = _failed(job_overrides[i], reason)
    except KeyboardInterrupt:
        log.warning("no longer waiting; the jobs continue (`scancel %s` ends them)", array)
        raise
    return [results[i] for i in range(len(jobs))]


def find_ended_jobs(names: Sequence[str], ask: Callable[[str], str | None] | None = None) -> dict[str, str]:
    r"""Which of these jobs have ended, with their states.

    >>> find_ended_jobs(["7_0", "7_1", "7_2"], lambda array: "7_0 RUNNING\n7_1 TIMEOUT\n")
    {'7_1': 'TIMEOUT', '7_2': 'no longer known to Slurm'}

    Args:
        names: Slurm's names of the jobs, all of one array.
        ask: Returns Slurm's list of an array's jobs, None if Slurm does not answer.
    """
    if not names:
        return {}
    listed = (ask or _list_jobs)(names[0].partition("_")[0])
    if listed is None:
        return {}
    known: Mapping[str, str] = dict(line.split()[:2] for line in listed.splitlines() if len(line.split()) >= 2)
    states = {name: known.get(name, _GONE) for name in names}
    return {name: state for name, state in states.items() if state in _ENDED or state == _GONE}


def _list_jobs(array: str) -> str | None:
    command = ["squeue", "--noheader", "--array", "--states=all", f"--jobs={array}", "--format=%i %T"]
    try:
        called = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if called.returncode != 0:
        return "" if "Invalid job id" in called.stderr else None
    return called.stdout


def _has_result(job: Any) -> bool:
    return all(job.task(task).paths.result_pickle.exists() for task in range(job.num_tasks))


def _result(job: Any, overrides: Sequence[str]) -> JobReturn:
    """The result of node 0, or of a node that failed; a result that cannot be read is a failed run."""
    try:
        results: list[JobReturn] = job.results()
    except Exception as error:
        return _failed(overrides, f"job {job.job_id} failed ({str(error).splitlines()[0]}): {_log(job)}")
    return next((r for r in results if r.status == JobStatus.FAILED), results[0])


def _log(job: Any) -> str:
    return f"see {job.task(0).paths.stderr}; the same command continues this run"


def _failed(overrides: Sequence[str], message: str) -> JobReturn:
    failed = JobReturn(overrides=list(overrides), status=JobStatus.FAILED)
    failed.return_value = UserError(message)
    return failed
