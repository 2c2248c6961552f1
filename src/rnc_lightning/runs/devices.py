"""How many processes a trainer asks for and on which GPUs, and that Lightning would start none by itself."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnc_lightning.system.errors import UserError

if TYPE_CHECKING:
    from lightning import Trainer

_STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true", "ddp_find_unused_parameters_false")
_STARTS_PROCESSES = ("spawn", "fork", "notebook")


def count_devices(devices: Any, accelerator: str) -> int:
    """Devices, and so processes, that `trainer.devices` asks for: a number, a list of them, -1 or auto.

    >>> count_devices(2, "cpu"), count_devices("2", "gpu"), count_devices("0,1,3", "gpu"), count_devices([1], "gpu"), count_devices("auto", "cpu")
    (2, 2, 3, 1, 1)

    Raises:
        UserError: For anything else.
    """
    words = str(devices).strip()
    if isinstance(devices, list | tuple):
        found = len(devices)
    elif words in ("auto", "-1"):
        found = _all(accelerator)
    elif "," in words and all(word.strip().isdecimal() for word in words.rstrip(",").split(",")):
        found = len(words.rstrip(",").split(","))
    else:
        found = int(words) if words.isdecimal() else 0
    if found < 1:
        raise UserError(f"trainer.devices: must be a number of devices, a list of GPUs, or auto, got {devices}")
    return found


def named_gpus(devices: Any) -> list[int] | None:
    """The GPUs that `trainer.devices` names, one for each process; None where it says how many.

    >>> named_gpus([1, 3]), named_gpus("0,0"), named_gpus("3,"), named_gpus(2), named_gpus("auto")
    ([1, 3], [0, 0], [3], None, None)
    """
    if isinstance(devices, str):
        words = [word for word in devices.split(",") if word.strip()]
        return [int(word) for word in words] if "," in devices and all(w.strip().isdecimal() for w in words) else None
    return [int(device) for device in devices] if isinstance(devices, Sequence) else None


def choose_backend(accelerator: str, devices: Any) -> str:
    """What processes speak through: NCCL on GPUs, unless one has several processes, which NCCL refuses.

    >>> choose_backend("gpu", 2), choose_backend("gpu", [0, 0]), choose_backend("cpu", 2)
    ('nccl', 'gloo', 'gloo')
    """
    return "gloo" if accelerator == "cpu" or _share_a_gpu(devices) else "nccl"


def shared_gpu_arguments(trainer: Mapping[str, Any]) -> dict[str, Any]:
    """What to say to Lightning instead where a GPU is named twice, which it refuses; else nothing.

    A strategy that is given its devices is not asked about them.
    """
    gpus = named_gpus(trainer.get("devices"))
    if gpus is None or not _share_a_gpu(gpus):
        return {}
    import torch
    from lightning.pytorch.strategies import DDPStrategy

    unused = str(trainer.get("strategy")).endswith("_true")  # the end of its name in Lightning
    devices = [torch.device("cuda", gpu) for gpu in gpus]
    return {"devices": 1, "strategy": DDPStrategy(parallel_devices=devices, find_unused_parameters=unused)}


def _share_a_gpu(devices: Any) -> bool:
    gpus = named_gpus(devices)
    return gpus is not None and len(set(gpus)) < len(gpus)


def check_strategy(strategy: Any) -> None:
    """Refuse by name what would start processes of its own, and what the suite was not written for.

    Raises:
        UserError: With the remedy.
    """
    if not isinstance(strategy, str) or strategy in _STRATEGIES:
        return
    if any(word in strategy for word in _STARTS_PROCESSES):
        raise UserError(
            f"trainer.strategy={strategy} would start processes by itself, which a sweep does not survive; "
            "use trainer.strategy=ddp: the suite starts them"
        )
    raise UserError(f"trainer.strategy={strategy} is not supported; use trainer.strategy=ddp")


def check_trainer(trainer: "Trainer", processes: int) -> None:
    """Refuse a trainer that does not run in the processes that there are, before it starts others.

    Args:
        trainer: A trainer as it will be made for each stage.
        processes: Those that share the run.

    Raises:
        UserError: With the remedy.
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
            f"trainer: it would run in {wanted} processes, but this run has {processes}, and Lightning must start none "
            f"by itself; say trainer.devices={wanted} with trainer=ddp (ddp_cpu on CPUs), and the suite starts them"
        )


def _all(accelerator: str) -> int:
    if accelerator == "cpu":
        return 1
    import torch

    return max(1, torch.cuda.device_count())
