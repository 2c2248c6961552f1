"""`hydra/launcher=per_gpu`: the runs of a sweep at the same time, each in its own process with its own GPUs."""

from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class PerGpuLauncher(Launcher):
    """Starts the jobs of a sweep as their GPUs become free.

    Args:
        slots: Number of jobs at the same time; None: as many as get their own GPUs.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots
        self.config: DictConfig | None = None
        self.hydra_context: HydraContext | None = None
        self.task_function: TaskFunction | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keep what Hydra passes."""
        self.task_function = task_function
        self.config = config
        self.hydra_context = hydra_context

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs and return their results in order."""
        from rnc_lightning.sweeps.per_gpu import Batch

        assert self.config is not None
        assert self.hydra_context is not None
        assert self.task_function is not None
        batch = Batch(self.hydra_context, self.task_function, self.config, self.slots)
        return batch.run(job_overrides, initial_job_idx)
