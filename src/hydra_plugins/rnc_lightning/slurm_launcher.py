"""`hydra/launcher=slurm`; Hydra takes launchers from this package only.

Without the extra there is no such launcher, and the command then says how to get it.
"""

from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn

try:
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher as SubmititLauncher
except ImportError:
    pass
else:

    class SlurmLauncher(SubmititLauncher):
        """Submitit's, with what the runs need, waiting for each job by itself, and requeueing one that was stopped."""

        def __call__(self, *arguments: Any) -> JobReturn:
            """One run, inside its job."""
            from rnc_lightning.sweeps.slurm.requeue import requeue_if_stopped

            # Not by the name of this class: a job that submitit requeues has another class of that name, since Hydra
            # runs this file again within a job.
            call = super().__call__
            return requeue_if_stopped(lambda: call(*arguments))

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """All runs of a sweep as one array of jobs."""
            from rnc_lightning.sweeps.slurm.submission import submit
            from rnc_lightning.sweeps.slurm.waiting import wait_for_jobs

            assert self.config is not None
            assert self.hydra_context is not None
            compose = self.hydra_context.config_loader.load_sweep_config
            configs = [compose(self.config, list(overrides)) for overrides in job_overrides]
            return wait_for_jobs(submit(self, self.params, configs, job_overrides, initial_job_idx), job_overrides)
