"""Loggers: TensorBoard and Weights & Biases, in addition to the CSV history that every run has."""

from typing import TYPE_CHECKING

from rnc_lightning.system.lazy_exports import lazy_exports

if TYPE_CHECKING:
    from rnc_lightning.tracking.loggers import ResultLogger, tensorboard, wandb
    from rnc_lightning.tracking.run_files import RunFiles

__all__ = ["ResultLogger", "RunFiles", "tensorboard", "wandb"]

__getattr__ = lazy_exports(
    __name__,
    {"ResultLogger": "loggers", "RunFiles": "run_files", "tensorboard": "loggers", "wandb": "loggers"},
)
