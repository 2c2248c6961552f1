"""Submit runs as one array of Slurm jobs, with the resources that they need."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.core.singleton import Singleton
from omegaconf import DictConfig, OmegaConf

from rnc_lightning.system.errors import UserError

_EXECUTOR_OPTIONS = {"submitit_folder", "max_num_timeout"}  # of submitit's executor, not of a job

_GENERAL = {  # options that submitit names without the prefix `slurm_`
    "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout",
}  # fmt: skip

_GPUS = ("gpus_per_node", "gpus_per_task", "gres")


def required_resources(trainer: Mapping[str, Any], workers: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """The resources that a run needs: nodes, and GPUs and cores on each; values set for the launcher take precedence.

    >>> required_resources({"accelerator": "gpu", "devices": 4, "num_nodes": 2}, workers=3, chosen={})
    {'nodes': 2, 'gpus_per_node': 4, 'cpus_per_task': 16}

    Args:
        trainer: The trainer's configuration.
        workers: Data workers of each process.
        chosen: Values of `hydra.launcher`, None for those that are not set.

    Raises:
        UserError: If the configuration does not say how many devices are needed, or whether they are GPUs.
    """
    devices = trainer.get("devices", 1)
    processes = len(devices) if isinstance(devices, list) else devices
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise UserError(f"trainer.devices={devices}: Slurm needs the number of devices; give a number")
    accelerator = trainer.get("accelerator", "auto")
    gpus = chosen.get("gpus_per_node")
    if accelerator == "cpu":
        gpus = gpus or None
    elif all(chosen.get(name) is None for name in _GPUS):
        if accelerator == "auto":
            raise UserError(
                "trainer.accelerator=auto does not say whether the jobs need a GPU: choose trainer.accelerator=gpu "
                "(or trainer=ddp), trainer=cpu, or set hydra.launcher.gpus_per_node"
            )
        gpus = processes
    cpus = chosen.get("cpus_per_task")
    return {
        "nodes": trainer.get("num_nodes", 1),
        "gpus_per_node": gpus or None,
        "cpus_per_task": processes * (1 + workers) if cpus is None else cpus,
    }


def submit(
    call: Callable[..., Any],
    chosen: Mapping[str, Any],
    configs: Sequence[DictConfig],
    job_overrides: Sequence[Sequence[str]],
    first: int,
) -> list[Any]:
    """Submit one job per run and return submitit's jobs.

    Args:
        call: The function that each job calls, with the arguments of submitit's launcher for Hydra.
        chosen: Values of `hydra.launcher`.
        configs: The configurations of the runs.
        job_overrides: The options of the runs.
        first: Number of the first run in the sweep.

    Raises:
        UserError: If the runs need different resources, or Slurm is not available or refuses the jobs.
    """
    import submitit

    needed = [_config_resources(config, chosen) for config in configs]
    if others := [other for other in needed if other != needed[0]]:
        raise UserError(
            f"the runs of this sweep need different resources of Slurm ({needed[0]}, {others[0]}): "
            "use one command for each set of runs that need the same"
        )
    values = {**chosen, **needed[0]}
    parameters = {
        name if name in _GENERAL else f"slurm_{name}": v for name, v in values.items() if name not in _EXECUTOR_OPTIONS
    }
    arguments = [
        (list(overrides), "hydra.sweep.dir", number, f"job_id_for_{number}", Singleton.get_state())
        for number, overrides in enumerate(job_overrides, first)
    ]
    try:
        executor = submitit.AutoExecutor(
            folder=values["submitit_folder"], cluster="slurm", slurm_max_num_timeout=values["max_num_timeout"]
        )
        executor.update_parameters(**parameters)
        return list(executor.map_array(call, *zip(*arguments, strict=True)))
    except submitit.core.utils.FailedJobError as error:
        reasons = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
        raise UserError(f"Slurm refused the jobs: {reasons[0].partition('error:')[2].strip() or reasons[0]}") from error
    except RuntimeError as error:  # there is no Slurm on this machine
        raise UserError(f"hydra/launcher=slurm: {error}") from error


def _config_resources(config: DictConfig, chosen: Mapping[str, Any]) -> dict[str, Any]:
    trainer = OmegaConf.to_container(config.trainer, resolve=True)
    assert isinstance(trainer, dict)
    workers = OmegaConf.select(config, "data.num_workers", default=0) or 0
    return required_resources({str(key): value for key, value in trainer.items()}, workers, chosen)
