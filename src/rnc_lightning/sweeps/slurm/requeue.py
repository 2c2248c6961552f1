"""How a job ends that is told to: at once, and queued again unless Slurm is ending or requeueing it already.

SIGTERM comes with `scancel`, `scontrol requeue` and preemption, where Slurm sees to what follows, and alone as the
notice of a preemption with a grace time or from `scancel --signal=TERM`, where it does not. Which it was is seen by the
job's state. The signal before the time limit (USR2) is submitit's own affair.
"""

import logging
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from types import FrameType

from hydra.core.utils import JobReturn, JobStatus

from rnc_lightning.system.signals import Terminated

log = logging.getLogger(__name__)


class _Stop:
    """The handler: notes that SIGTERM came and raises, once, in the process that set it."""

    def __init__(self) -> None:
        self.came = False
        self._process = os.getpid()

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a child that inherited it
            os._exit(128 + signal.SIGTERM)
        if not self.came:
            self.came = True
            raise Terminated


def requeue_if_stopped(run: Callable[[], JobReturn]) -> JobReturn:
    """Do a job's work; where SIGTERM stops it, see that it is queued again and end without a result.

    Args:
        run: The work. It may have a handler of its own that raises the same.

    Raises:
        Terminated: Where it was stopped.
    """
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    _act_only_here(signal.SIGUSR2)
    try:
        done = run()
    except BaseException as error:
        if stop.came or isinstance(error, Terminated):
            _requeue_if_running()
            raise Terminated from error
        raise
    if stop.came and done.status == JobStatus.FAILED:  # of a data worker that was stopped too, say
        _requeue_if_running()
        raise Terminated
    return done


def job_number(environment: Mapping[str, str]) -> str:
    """How Slurm calls this job and no other: one of the jobs of an array has the array's own SLURM_JOB_ID.

    >>> job_number({"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"})
    '7_1'
    """
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def _act_only_here(number: signal.Signals) -> None:
    """Let data workers, which inherit a handler and get the signal too, ignore it."""
    handler = signal.getsignal(number)
    if not callable(handler):
        return
    process = os.getpid()

    def act(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            handler(number, frame)

    signal.signal(number, act)


def _requeue_if_running() -> None:
    """Queue this job again where Slurm still calls it running: then nobody else ends or requeues it."""
    if os.environ.get("SLURM_PROCID", "0") != "0":  # node 0 does it for all
        return
    job = job_number(os.environ)
    try:
        state = _ask("squeue", "--noheader", f"--jobs={job}", "--format=%T").strip()
        if state != "RUNNING":
            log.warning("stopped by SIGTERM; Slurm calls the job %s and sees to the rest", state or "unknown")
            return
        log.warning("stopped by SIGTERM: queued again, to go on from the last finished epoch")
        _ask("scontrol", "requeue", job)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("stopped by SIGTERM and not queued again: %s", error)


def _ask(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
