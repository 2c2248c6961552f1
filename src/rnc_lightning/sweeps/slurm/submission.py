"""From runs to jobs: what they ask Slurm for, handed in as one array."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hydra.core.singleton import Singleton
from omegaconf import DictConfig, OmegaConf

from rnc_lightning.system.errors import UserError

_SUBMITITS_OWN = {"submitit_folder", "max_num_timeout"}  # the executor's, not a job's

_GENERAL = {  # what submitit knows without the prefix of a cluster
    "timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name", "stderr_to_stdout",
}  # fmt: skip

_GPUS = ("gpus_per_node", "gpus_per_task", "gres")


def required_resources(trainer: Mapping[str, Any], workers: int, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What a run needs of Slurm: nodes, and on each of them GPUs and cores; the launcher's own values come first.

    >>> required_resources({"accelerator": "gpu", "devices": 4, "num_nodes": 2}, workers=3, chosen={})
    {'nodes': 2, 'gpus_per_node': 4, 'cpus_per_task': 16}

    Args:
        trainer: The trainer's configuration.
        workers: Data workers of each process.
        chosen: Values of `hydra.launcher`, None where they are left open.

    Raises:
        UserError: Where the configuration does not say how many devices, or whether GPUs.
    """
    devices = trainer.get("devices", 1)
    processes = len(devices) if isinstance(devices, list) else devices
    if isinstance(processes, bool) or not isinstance(processes, int) or processes < 1:
        raise UserError(f"trainer.devices={devices}: Slurm must be told how many; give a number")
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
    """Hand in one job a run and return submitit's jobs.

    Args:
        call: What each job calls, with the arguments of submitit's launcher for Hydra.
        chosen: Values of `hydra.launcher`.
        configs: The runs' configurations.
        job_overrides: The runs' words.
        first: Number of the first run in the sweep.

    Raises:
        UserError: Where the runs differ in what they need, or Slurm is not there or refuses.
    """
    import submitit

    wanted = [_needs(config, chosen) for config in configs]
    if others := [other for other in wanted if other != wanted[0]]:
        raise UserError(
            f"the runs of this sweep need different things of Slurm ({wanted[0]}, {others[0]}): "
            "give those that need the same in one command"
        )
    values = {**chosen, **wanted[0]}
    named = {
        name if name in _GENERAL else f"slurm_{name}": v for name, v in values.items() if name not in _SUBMITITS_OWN
    }
    arguments = [
        (list(words), "hydra.sweep.dir", first + place, f"job_id_for_{first + place}", Singleton.get_state())
        for place, words in enumerate(job_overrides)
    ]
    try:
        executor = submitit.AutoExecutor(
            folder=values["submitit_folder"], cluster="slurm", slurm_max_num_timeout=values["max_num_timeout"]
        )
        executor.update_parameters(**named)
        return list(executor.map_array(call, *zip(*arguments, strict=True)))
    except submitit.core.utils.FailedJobError as error:
        reasons = [line for line in str(error).splitlines() if "error:" in line] or [str(error)]
        raise UserError(f"Slurm refused the jobs: {reasons[0].partition('error:')[2].strip() or reasons[0]}") from error
    except RuntimeError as error:  # no Slurm here
        raise UserError(f"hydra/launcher=slurm: {error}") from error


def _needs(config: DictConfig, chosen: Mapping[str, Any]) -> dict[str, Any]:
    trainer = OmegaConf.to_container(config.trainer, resolve=True)
    assert isinstance(trainer, dict)
    workers = OmegaConf.select(config, "data.num_workers", default=0) or 0
    return required_resources({str(key): value for key, value in trainer.items()}, workers, chosen)
