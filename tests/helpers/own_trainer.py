"""A Trainer as a person might make it, for `trainer._target_`: it would start a process by itself."""

from typing import Any

from lightning import Trainer


def two_processes(**arguments: Any) -> Trainer:
    return Trainer(**{**arguments, "accelerator": "cpu", "devices": 2, "strategy": "ddp"})
