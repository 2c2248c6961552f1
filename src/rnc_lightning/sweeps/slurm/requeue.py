"""How a job ends on SIGTERM: at once, and queued again unless Slurm is already ending or requeueing it.

With `scancel`, `scontrol requeue` and preemption, Slurm sends SIGTERM and then ends or requeues the job itself. With
`scancel --signal=TERM`, or as the notice of a preemption with a grace time, it sends only SIGTERM. The job's state
tells which it was. Submitit handles the signal before the time limit (USR2).
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
    """The signal handler: remembers that SIGTERM came and raises, once, in the process that installed it."""

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
    """Do a job's work; if SIGTERM stops it, make sure that it is queued again, and end without a result.

    Args:
        run: The work. It may install its own handler that raises `Terminated`.

    Raises:
        Terminated: If it was stopped.
    """
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    _ignore_in_children(signal.SIGUSR2)
    try:
        done = run()
    except BaseException as error:
        if stop.came or isinstance(error, Terminated):
            _requeue_if_running()
            raise Terminated from error
        raise
    if stop.came and done.status == JobStatus.FAILED:  # for example because a data worker was stopped too
        _requeue_if_running()
        raise Terminated
    return done


def job_number(environment: Mapping[str, str]) -> str:
    """Slurm's unique name of this job; SLURM_JOB_ID alone is not unique in an array.

    >>> job_number({"SLURM_JOB_ID": "7", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "1"})
    '7_1'
    """
    if "SLURM_ARRAY_JOB_ID" in environment:
        return f"{environment['SLURM_ARRAY_JOB_ID']}_{environment['SLURM_ARRAY_TASK_ID']}"
    return environment["SLURM_JOB_ID"]


def _ignore_in_children(number: signal.Signals) -> None:
    """Make data workers, which inherit the handler and also get the signal, ignore it."""
    handler = signal.getsignal(number)
    if not callable(handler):
        return
    process = os.getpid()

    def act(number: int, frame: FrameType | None) -> None:
        if os.getpid() == process:
            handler(number, frame)

    signal.signal(number, act)


def _requeue_if_running() -> None:
    """Queue this job again if Slurm reports it as running: then Slurm is not ending or requeueing it."""
    if os.environ.get("SLURM_PROCID", "0") != "0":  # node 0 does it for all nodes
        return
    job = job_number(os.environ)
    try:
        state = _call("squeue", "--noheader", f"--jobs={job}", "--format=%T").strip()
        if state != "RUNNING":
            log.warning("stopped by SIGTERM; Slurm reports the job as %s and handles it", state or "unknown")
            return
        log.warning("stopped by SIGTERM: queued again, to continue from the last finished epoch")
        _call("scontrol", "requeue", job)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("stopped by SIGTERM and not queued again: %s", error)


def _call(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
