"""How many processes a trainer asks for and on which GPUs, and checks that Lightning starts no processes itself."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnc_lightning.system.errors import UserError

if TYPE_CHECKING:
    from lightning import Trainer

_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_STARTS_PROCESSES = ("spawn", "fork", "notebook")


def count_devices(devices: Any, accelerator: str) -> int:
    """Number of devices, and so of processes, that `trainer.devices` asks for: a number, a list, -1 or auto.

    >>> [count_devices(devices, "gpu") for devices in (2, "2", "0,1,3", [1])], count_devices("auto", "cpu")
    ([2, 2, 3, 1], 1)

    Raises:
        UserError: For anything else.
    """
    text = str(devices).strip()
    if isinstance(devices, list | tuple):
        count = len(devices)
    elif text in ("auto", "-1"):
        count = _count_all(accelerator)
    elif (gpus := named_gpus(text)) is not None:
        count = len(gpus)
    else:
        count = int(text) if text.isdecimal() else 0
    if count < 1:
        raise UserError(f"trainer.devices: must be a number of devices, a list of GPUs, or auto, got {devices}")
    return count


def named_gpus(devices: Any) -> list[int] | None:
    """The GPUs that `trainer.devices` names, one for each process; None if it gives only their number.

    >>> named_gpus([1, 3]), named_gpus("0,0"), named_gpus("3,"), named_gpus(2), named_gpus("auto")
    ([1, 3], [0, 0], [3], None, None)
    """
    if isinstance(devices, str):
        names = [name.strip() for name in devices.strip().rstrip(",").split(",")]
        return [int(name) for name in names] if "," in devices and all(map(str.isdecimal, names)) else None
    return [int(device) for device in devices] if isinstance(devices, Sequence) else None


def choose_backend(accelerator: str, devices: Any) -> str:
    """Backend of the process group: NCCL on GPUs, unless processes share a GPU, which NCCL refuses; else gloo.

    >>> choose_backend("gpu", 2), choose_backend("gpu", [0, 0]), choose_backend("cpu", 2)
    ('nccl', 'gloo', 'gloo')
    """
    return "gloo" if accelerator == "cpu" or _share_a_gpu(devices) else "nccl"


def shared_gpu_arguments(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of the Trainer that replace those of the configuration if a GPU is named twice; else empty.

    Lightning refuses to use a GPU twice, but does not check the devices that a strategy is created with.
    """
    gpus = named_gpus(trainer.get("devices"))
    if gpus is None or not _share_a_gpu(gpus):
        return {}
    import torch
    from lightning.pytorch.strategies import DDPStrategy

    unused = str(trainer.get("strategy")).endswith("_true")  # how Lightning names it
    devices = [torch.device("cuda", gpu) for gpu in gpus]
    return {"devices": 1, "strategy": DDPStrategy(parallel_devices=devices, find_unused_parameters=unused)}


def _share_a_gpu(devices: Any) -> bool:
    gpus = named_gpus(devices)
    return gpus is not None and len(set(gpus)) < len(gpus)


def check_strategy(strategy: Any) -> None:
    """Refuse the names of strategies that start processes themselves or that are not supported.

    Raises:
        UserError: With what to use instead.
    """
    if not isinstance(strategy, str) or strategy in _STRATEGIES:
        return
    if any(word in strategy for word in _STARTS_PROCESSES):
        raise UserError(
            f"trainer.strategy={strategy} would start processes by itself, which does not work in a sweep; "
            "use trainer.strategy=ddp: the suite starts the processes"
        )
    raise UserError(f"trainer.strategy={strategy} is not supported; use trainer.strategy=ddp")


def check_trainer(trainer: "Trainer", processes: int) -> None:
    """Refuse a trainer that does not fit the running processes, before it starts others.

    Args:
        trainer: A trainer as it will be created for each stage.
        processes: Number of processes of the run.

    Raises:
        UserError: With what to use instead.
    """
    from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

    strategy = trainer.strategy
    if not isinstance(strategy, SingleDeviceStrategy) and type(strategy) is not DDPStrategy:
        raise UserError(f"trainer.strategy: {type(strategy).__name__} is not supported; use trainer.strategy=ddp")
    if isinstance(strategy, DDPStrategy):
        check_strategy("ddp" if strategy._start_method == "popen" else f"ddp_{strategy._start_method}")
    wanted = trainer.num_devices * trainer.num_nodes
    if wanted != processes:
        raise UserError(
            f"trainer: it needs {wanted} processes, but this run has {processes}, and Lightning must not start any "
            f"itself; use trainer.devices={wanted} with trainer=ddp (ddp_cpu on CPUs): the suite starts the processes"
        )


def _count_all(accelerator: str) -> int:
    if accelerator == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())
