"""Jobs side by side, each a process of its own with its share of the machine's GPUs and cores."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rnc_lightning.system.errors import UserError
from rnc_lightning.system.processes import end_processes, python_module, start_process

ON_CPU = "hydra.launcher.slots=2 runs two at a time on the CPU"
_POLL = 0.1


@dataclass
class Job:
    """One job.

    Attributes:
        number: Its place in the sweep.
        task: Folder through which the run comes and its outcome goes back.
        log: File of all that it prints.
        gpus: GPUs that it needs.
        processes: Processes that it will have.
        environment: Variables beside the parent's own.
    """

    number: int
    task: Path
    log: Path
    gpus: int = 0
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        import torch

        return [str(number) for number in range(torch.cuda.device_count())]
    found: list[str] = []
    for name in (word.strip() for word in named.split(",")):
        if not name or name.startswith("-"):
            break  # CUDA reads no further either
        found.append(name)
    return found


class GpuPool:
    """Which GPUs are taken.

    Args:
        gpus: Names of the GPUs.
        slots: Jobs at once; None: as many as find GPUs of their own. With more slots than GPUs, jobs share them.
    """

    def __init__(self, gpus: list[str], slots: int | None) -> None:
        self.gpus = gpus
        self.slots = slots
        self.taken: dict[str, int] = dict.fromkeys(gpus, 0)
        self.jobs = 0

    def take(self, needed: int) -> list[str] | None:
        """GPUs for a job, the least used ones, or None where it has to wait.

        >>> pool = GpuPool(["0", "1"], None)
        >>> pool.take(1), pool.take(1), pool.take(1)
        (['0'], ['1'], None)
        """
        if self.slots is not None and self.jobs >= self.slots:
            return None
        least = sorted(self.gpus, key=lambda gpu: self.taken[gpu])[:needed]
        if any(self.taken[gpu] >= self._jobs_a_gpu(needed) for gpu in least):
            return None
        for gpu in least:
            self.taken[gpu] += 1
        self.jobs += 1
        return least

    def release(self, gpus: list[str]) -> None:
        """A job has ended."""
        for gpu in gpus:
            self.taken[gpu] -= 1
        self.jobs -= 1

    def _jobs_a_gpu(self, needed: int) -> int:
        """How many jobs of this size share a GPU when all slots are full."""
        side_by_side = max(1, len(self.gpus) // max(1, needed))
        return 1 if self.slots is None else -(-self.slots // side_by_side)

    def threads(self, job: Job) -> int:
        """Threads for each process of a job, so that all slots together have the machine's cores."""
        slots = self.slots or max(1, len(self.gpus) // max(1, job.gpus))
        return max(1, len(os.sched_getaffinity(0)) // (slots * job.processes))


def run_jobs(
    jobs: Iterator[Job], pool: GpuPool, started: Callable[[Job], None], ended: Callable[[Job, int], None]
) -> None:
    """Run jobs as pool become free, in their order; a job that fails or is killed fails alone.

    Args:
        jobs: The jobs; each is asked for when the one before it has been started.
        pool: What there is.
        started: Told of each job that is about to start.
        ended: Told of each job that has ended, with its exit code (that of a signal is negative).
    """
    running: list[tuple[Job, subprocess.Popen[bytes], list[str]]] = []
    waiting = next(jobs, None)
    try:
        while waiting is not None or running:
            while waiting is not None and (gpus := pool.take(waiting.gpus)) is not None:
                started(waiting)
                running.append((waiting, _process(waiting, gpus, pool), gpus))
                waiting = next(jobs, None)
            for entry in [entry for entry in running if entry[1].poll() is not None]:
                job, process, gpus = entry
                end_processes([process])  # what it may have left behind
                running.remove(entry)
                pool.release(gpus)
                ended(job, process.returncode)
            time.sleep(_POLL)
    finally:
        end_processes([process for _, process, _ in running])


def describe_exit_code(code: int) -> str:
    """An exit code in words.

    >>> describe_exit_code(-9), describe_exit_code(3)
    ('signal SIGKILL', 'exit code 3')
    """
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def gpus_needed(trainer: Mapping[str, Any], processes: int, gpus: list[str], slots: int | None) -> int:
    """GPUs that a run has to be given.

    Args:
        trainer: Its trainer's configuration.
        processes: Those that it will have.
        gpus: The visible GPUs.
        slots: Jobs at once, or None.

    Raises:
        UserError: Where it would never start, with the remedy.
    """
    if not gpus or trainer.get("accelerator") == "cpu":
        if slots is None:
            raise UserError(f"hydra/launcher=per_gpu: a run with trainer.accelerator=cpu needs no GPU; {ON_CPU}")
        return 0
    devices = trainer.get("devices")
    if isinstance(devices, Sequence) and (not isinstance(devices, str) or "," in devices):
        raise UserError(f"trainer.devices={devices}: hydra/launcher=per_gpu chooses the GPUs; say how many, not which")
    if processes > len(gpus):
        raise UserError(f"trainer.devices: {processes} GPUs for a run, but {len(gpus)} are visible here")
    return processes


def _process(job: Job, gpus: list[str], pool: GpuPool) -> subprocess.Popen[bytes]:
    environment = {"OMP_NUM_THREADS": str(pool.threads(job)), **os.environ, **job.environment}
    if pool.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    return start_process(python_module("rnc_lightning.sweeps.worker", str(job.task)), environment, job.log)
