"""`hydra/launcher=slurm`; Hydra finds launchers only in this package.

Without submitit there is no such launcher, and the command prints how to install it.
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
        """Submitit's launcher with the resources that the runs need; it requeues jobs that are stopped."""

        def __call__(self, *arguments: Any) -> JobReturn:
            """Execute one run, inside its job."""
            from rnc_lightning.sweeps.slurm.requeue import requeue_if_stopped

            # Not `SlurmLauncher.__call__`: in a job that submitit requeues that name is another class, since Hydra
            # executes this file again inside a job.
            call = super().__call__
            return requeue_if_stopped(lambda: call(*arguments))

        def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
            """Submit all runs of a sweep as one array of jobs, and wait for them."""
            from rnc_lightning.sweeps.slurm.submission import submit
            from rnc_lightning.sweeps.slurm.waiting import wait_for_jobs

            assert self.config is not None
            assert self.hydra_context is not None
            compose = self.hydra_context.config_loader.load_sweep_config
            configs = [compose(self.config, list(overrides)) for overrides in job_overrides]
            return wait_for_jobs(submit(self, self.params, configs, job_overrides, initial_job_idx), job_overrides)
