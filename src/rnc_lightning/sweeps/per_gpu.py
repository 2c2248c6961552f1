"""Run Hydra's jobs in separate processes, as `hydra/launcher=per_gpu` does."""

import copy
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rnc_lightning.runs.handover import Handover
from rnc_lightning.runs.request import RunRequest
from rnc_lightning.runs.run import count_processes
from rnc_lightning.sweeps.record import swept_options
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.processes import describe_exit_code
from rnc_lightning.system.scheduler import ON_CPU, GpuPool, Job, gpus_needed, run_jobs, visible_gpus


class Batch:
    """The jobs that a sweeper launches together.

    Args:
        hydra_context: Hydra's configuration loader and callbacks.
        task_function: Passed to callbacks only; the job's process imports it itself.
        config: The sweep's configuration.
        slots: Number of jobs at the same time, or None.
    """

    def __init__(
        self, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig, slots: int | None
    ) -> None:
        if slots is not None and slots < 1:
            raise UserError(f"hydra.launcher.slots: must be null or a number from 1 up, got {slots}")
        self.context = hydra_context
        self.task_function = task_function
        self.config = config
        self.slots = slots
        self.folder = Path(config.hydra.sweep.dir)
        self.gpus = visible_gpus()
        if slots is None and not self.gpus:
            raise UserError(f"hydra/launcher=per_gpu: no GPU is visible; {ON_CPU}")
        self.configs: dict[int, DictConfig] = {}
        self.returns: dict[int, JobReturn] = {}
        self.failed = self.running = 0

    def run(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run the jobs and return their results in order."""
        setup_globals()
        self.folder.mkdir(parents=True, exist_ok=True)
        pool = GpuPool(self.gpus, self.slots)
        common = self.config.hydra.overrides.task
        before = HydraConfig.instance().cfg
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        try:
            with tempfile.TemporaryDirectory() as tasks, Progress(*columns, console=Console()) as progress:
                shown = progress.add_task("runs", total=len(job_overrides))

                def show() -> None:
                    text = f"{self.running} running, {self.failed} failed, logs in {self.folder}"
                    progress.update(shown, description=text, completed=len(self.returns))

                def prepare_jobs() -> Iterator[Job]:
                    for number, overrides in enumerate(job_overrides, first):
                        job = self._prepare(number, overrides, Path(tasks) / str(number))
                        if job is not None:
                            yield job

                def started(job: Job) -> None:
                    self._start(job)
                    show()

                def ended(job: Job, code: int) -> None:
                    self.running -= 1
                    self._end(job.number, *_outcome(job, code))
                    show()
                    options = " ".join(swept_options(self.returns[job.number].overrides or (), common))
                    progress.console.print(f"run {job.number} has ended: {options}", markup=False, highlight=False)

                run_jobs(prepare_jobs(), pool, started, ended)
        finally:
            HydraConfig.instance().cfg = before
        return [self.returns[number] for number in sorted(self.returns)]

    def _prepare(self, number: int, overrides: Sequence[str], task: Path) -> Job | None:
        """Compose a job's configuration and write it to a folder for its process; None if the job has failed here."""
        config = self.context.config_loader.load_sweep_config(self.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
            config.hydra.sweep.dir = str(self.folder)
        HydraConfig.instance().set_config(config)
        self.configs[number] = config
        try:
            request = RunRequest.read(_without_hydra(config), config.hydra.overrides.task)
            count = count_processes(request.trainer)
            needed = gpus_needed(request.trainer, count, self.gpus, self.slots)
        except UserError as error:
            self._end(number, None, error)
            return None
        Handover(task).write_request(request)
        environment = {key: str(value) for key, value in config.hydra.job.env_set.items()}
        return Job(number, task, self.folder / f"job_{number}.log", needed, count, environment)

    def _start(self, job: Job) -> None:
        """Call the callbacks for the start of a job."""
        config = self.configs[job.number]
        HydraConfig.instance().set_config(config)
        self.running += 1
        self.context.callbacks.on_job_start(config=config, task_function=self.task_function)

    def _end(self, number: int, value: Any, error: UserError | None) -> None:
        """Create the result that Hydra's own launcher would return, and call the callbacks for the end of a job."""
        config = self.configs[number]
        HydraConfig.instance().set_config(config)
        returned = JobReturn(
            overrides=list(config.hydra.overrides.task),
            cfg=_without_hydra(config),
            hydra_cfg=OmegaConf.masked_copy(config, "hydra"),
            working_dir=str(Path.cwd()),
            task_name=config.hydra.job.name,
            status=JobStatus.COMPLETED if error is None else JobStatus.FAILED,
        )
        returned.return_value = value if error is None else error
        self.failed += error is not None
        self.context.callbacks.on_job_end(config=config, job_return=returned)
        self.returns[number] = returned


def _outcome(job: Job, code: int) -> tuple[Any, UserError | None]:
    """The return value of a job, and why it failed, if it did."""
    outcome = Handover(job.task).outcome()
    if outcome is None:
        return None, UserError(f"its process ended with {describe_exit_code(code)}")
    return outcome.value, outcome.failure


def _without_hydra(config: DictConfig) -> DictConfig:
    """A job's configuration without Hydra's part, resolved if possible: other processes cannot resolve `hydra:`."""
    cfg = copy.deepcopy(config)
    with open_dict(cfg):
        del cfg["hydra"]
    with suppress(OmegaConfBaseException):  # the job reports what is wrong
        OmegaConf.resolve(cfg)
    return cfg
