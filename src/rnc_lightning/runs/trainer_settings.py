"""Arguments of Lightning's Trainer that the suite has its own option for, or that do not fit its stages."""

from collections.abc import Mapping
from typing import Any

from rnc_lightning.command_line.trainer_options import FILES, INSTEAD
from rnc_lightning.system.errors import UserError

_SAME = {"val_check_interval": 1.0, "check_val_every_n_epoch": 1, "max_steps": -1}  # Lightning's defaults
_PRECISIONS = ("32-true", "32", "bf16-mixed", "bf16", "16-mixed", "16")
_LIMITS = ("limit_train_batches", "limit_val_batches", "limit_test_batches")


def check_settings(trainer: Mapping[str, Any]) -> None:
    """Refuse arguments of the Trainer that would be ignored or break a stage.

    Args:
        trainer: The configuration `trainer`.

    Raises:
        UserError: Says what does the same here.
    """
    for key, instead in INSTEAD.items():
        value = trainer.get(key)
        if value and value != _SAME.get(key):
            raise UserError(f"trainer.{key}={value}: {instead}")
    if trainer.get("enable_checkpointing") is False:
        raise UserError(f"trainer.enable_checkpointing=False: {FILES}")
    for key in _LIMITS:
        if (value := trainer.get(key)) is not None and value == 0:
            raise UserError(f"trainer.{key}=0: every stage trains and validates, and a run ends with its test; use 1")
    precision = str(trainer.get("precision", "32-true"))
    if precision not in _PRECISIONS:
        mixed = "16-mixed (on a GPU)" if precision.startswith("16") else "bf16-mixed"
        raise UserError(
            f"trainer.precision={precision}: weights, inputs and labels are float32 in every stage; use 32-true, or "
            f"{mixed} for half precision in the encoder"
        )


def check_gpus(devices: list[int] | int, available: int, accelerator: str) -> None:
    """Refuse GPUs that the machine does not have.

    Args:
        devices: The GPUs by number, or how many of them.
        available: GPUs that PyTorch can use.
        accelerator: `trainer.accelerator`.

    Raises:
        UserError: Says what to use.
    """
    if accelerator in ("gpu", "cuda") and not available:
        raise UserError(
            f"trainer.accelerator={accelerator}: PyTorch finds no GPU here; use trainer=cpu, or trainer=auto "
            "for a GPU where there is one (trainer=ddp_cpu for several processes)"
        )
    needed = devices if isinstance(devices, int) else max(devices, default=0) + 1
    if available and needed > available:
        given = devices if isinstance(devices, int) else ",".join(map(str, devices))
        numbers = "0" if available == 1 else f"0 to {available - 1}"
        raise UserError(
            f"trainer.devices={given}: this machine has {available} GPU{'s' * (available > 1)} (number {numbers}); use "
            f"trainer.devices={available}, or [0,0] to share one"
        )
