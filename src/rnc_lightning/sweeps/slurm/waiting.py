"""Waiting for jobs: each one's result, or that it ended without; a lost one takes no other's with it."""

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
_LOOK = 2.0  # seconds between looks at the result files
_ASK = 30.0  # seconds between questions to Slurm


def wait_for_jobs(jobs: Sequence[Any], job_overrides: Sequence[Sequence[str]]) -> list[JobReturn]:
    """What the jobs of a sweep returned, in order; one that left no result is a failed run with its log.

    The result files are what counts. Slurm is asked with `squeue`, which needs no accounting, whether a job without
    one is over; a job that is requeued is not.

    Args:
        jobs: Submitit's jobs.
        job_overrides: The runs' words.
    """
    array = str(jobs[0].job_id).partition("_")[0]
    log.info("%d jobs handed in; `scancel %s` ends all, logs in %s", len(jobs), array, jobs[0].paths.folder.parent)
    outcomes: dict[int, JobReturn] = {}
    over: dict[str, str] = {}  # how jobs without a result stood at the last question
    asked = time.monotonic()
    try:
        while len(outcomes) < len(jobs):
            time.sleep(_LOOK)
            for place, job in enumerate(jobs):
                if place not in outcomes and _has_result(job):
                    outcomes[place] = _result(job, job_overrides[place])
                    log.info("job %s has ended, %d of %d", job.job_id, len(outcomes), len(jobs))
            if time.monotonic() - asked >= _ASK:
                asked = time.monotonic()
                open_jobs = {str(job.job_id): place for place, job in enumerate(jobs) if place not in outcomes}
                before, over = over, find_ended_jobs(list(open_jobs))
                for name in over.keys() & before.keys():  # twice, so that a result has had time to be seen
                    if not _has_result(jobs[open_jobs[name]]):
                        outcomes[open_jobs[name]] = _lost(
                            jobs[open_jobs[name]], job_overrides[open_jobs[name]], over[name]
                        )
    except KeyboardInterrupt:
        log.warning("no longer waiting; the jobs go on (`scancel %s` ends them)", array)
        raise
    return [outcomes[place] for place in range(len(jobs))]


def find_ended_jobs(names: Sequence[str], ask: Callable[[str], str | None] | None = None) -> dict[str, str]:
    r"""Which of these jobs are over, with their states.

    >>> find_ended_jobs(["7_0", "7_1", "7_2"], lambda array: "7_0 RUNNING\n7_1 TIMEOUT\n")
    {'7_1': 'TIMEOUT', '7_2': 'no longer known to Slurm'}

    Args:
        names: Numbers of jobs, all of one array.
        ask: Gives Slurm's list of an array's jobs, None where Slurm does not answer.
    """
    if not names:
        return {}
    listed = (ask or _listed)(names[0].partition("_")[0])
    if listed is None:
        return {}
    states: Mapping[str, str] = dict(line.split()[:2] for line in listed.splitlines() if len(line.split()) >= 2)
    found = {name: states.get(name, _GONE) for name in names}
    return {name: state for name, state in found.items() if state in _ENDED or state == _GONE}


def _listed(array: str) -> str | None:
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


def _result(job: Any, words: Sequence[str]) -> JobReturn:
    """What node 0 returned; an exception that cannot be read back, or another node's, is a failed run."""
    try:
        results: list[JobReturn] = job.results()
    except Exception as error:
        return _failed(words, f"job {job.job_id} failed ({str(error).splitlines()[0]}): {_log(job)}")
    return next((r for r in results if r.status == JobStatus.FAILED), results[0])


def _lost(job: Any, words: Sequence[str], state: str) -> JobReturn:
    return _failed(words, f"job {job.job_id} ended without a result ({state}): {_log(job)}")


def _log(job: Any) -> str:
    return f"see {job.task(0).paths.stderr}; the same command goes on with this run"


def _failed(words: Sequence[str], message: str) -> JobReturn:
    failed = JobReturn(overrides=list(words), status=JobStatus.FAILED)
    failed.return_value = UserError(message)
    return failed
