"""Jobs that run at the same time, each in its own process with a share of the machine's GPUs and cores."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
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
        number: Its number in the sweep.
        task: Folder of its `Handover`: the request for the run, then its outcome.
        log: File for its output.
        gpus: Number of GPUs that it needs.
        processes: Number of processes that it starts.
        environment: Variables in addition to the parent's.
    """

    number: int
    task: Path
    log: Path
    gpus: int = 0
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        import torch

        return [str(number) for number in range(torch.cuda.device_count())]
    names = [name.strip() for name in visible.split(",")]
    return list(takewhile(lambda name: name and not name.startswith("-"), names))  # CUDA stops reading there too


class GpuPool:
    """Which GPUs are in use.

    Args:
        gpus: Names of the GPUs.
        slots: Number of jobs at the same time; None: as many as get their own GPUs. With more slots than GPUs, jobs
            share GPUs.
    """

    def __init__(self, gpus: list[str], slots: int | None) -> None:
        self.gpus = gpus
        self.slots = slots
        self.taken: dict[str, int] = dict.fromkeys(gpus, 0)
        self.jobs = 0

    def take(self, needed: int) -> list[str] | None:
        """The least used GPUs for a job, or None if it has to wait.

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
        """Return the GPUs of a job that has ended."""
        for gpu in gpus:
            self.taken[gpu] -= 1
        self.jobs -= 1

    def _jobs_a_gpu(self, needed: int) -> int:
        """How many jobs that need `needed` GPUs share a GPU when all slots are full."""
        side_by_side = max(1, len(self.gpus) // max(1, needed))
        return 1 if self.slots is None else -(-self.slots // side_by_side)

    def threads(self, job: Job) -> int:
        """Threads for each process of a job, so that all slots together use the machine's cores."""
        slots = self.slots or max(1, len(self.gpus) // max(1, job.gpus))
        return max(1, len(os.sched_getaffinity(0)) // (slots * job.processes))


def run_jobs(
    jobs: Iterator[Job], pool: GpuPool, started: Callable[[Job], None], ended: Callable[[Job, int], None]
) -> None:
    """Run jobs in their order as GPUs become free; a job that fails or is killed does not affect the others.

    Args:
        jobs: The jobs; the next one is requested when the one before it has been started.
        pool: The GPUs and slots.
        started: Called with each job that is about to start.
        ended: Called with each job that has ended and its exit code (negative for a signal).
    """
    running: list[tuple[Job, subprocess.Popen[bytes], list[str]]] = []
    waiting = next(jobs, None)
    try:
        while waiting is not None or running:
            while waiting is not None and (gpus := pool.take(waiting.gpus)) is not None:
                started(waiting)
                running.append((waiting, _start(waiting, gpus, pool), gpus))
                waiting = next(jobs, None)
            for entry in [entry for entry in running if entry[1].poll() is not None]:
                job, process, gpus = entry
                end_processes([process])  # anything that it left running
                running.remove(entry)
                pool.release(gpus)
                ended(job, process.returncode)
            time.sleep(_POLL)
    finally:
        end_processes([process for _, process, _ in running])


def gpus_needed(trainer: Mapping[str, Any], processes: int, gpus: list[str], slots: int | None) -> int:
    """Number of GPUs that a run needs.

    Args:
        trainer: The configuration of its trainer.
        processes: Number of processes that it starts.
        gpus: The visible GPUs.
        slots: Number of jobs at the same time, or None.

    Raises:
        UserError: If the run could never start, with what to change.
    """
    if not gpus or trainer.get("accelerator") == "cpu":
        if slots is None:
            raise UserError(f"hydra/launcher=per_gpu: a run with trainer.accelerator=cpu needs no GPU; {ON_CPU}")
        return 0
    devices = trainer.get("devices")
    if isinstance(devices, Sequence) and (not isinstance(devices, str) or "," in devices):
        raise UserError(f"trainer.devices={devices}: hydra/launcher=per_gpu chooses the GPUs; give how many, not which")
    if processes > len(gpus):
        raise UserError(f"trainer.devices: a run needs {processes} GPUs, but only {len(gpus)} are visible")
    return processes


def _start(job: Job, gpus: list[str], pool: GpuPool) -> subprocess.Popen[bytes]:
    environment = {"OMP_NUM_THREADS": str(pool.threads(job)), **os.environ, **job.environment}
    if pool.gpus:
        environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
    return start_process(python_module("rnc_lightning.sweeps.worker", str(job.task)), environment, job.log)
