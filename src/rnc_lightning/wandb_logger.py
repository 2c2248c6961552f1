"""A W&B logger that keeps the stages of one run apart."""

from collections.abc import Mapping
from pathlib import Path

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only


class StageWandbLogger(WandbLogger):
    """Logs to the open W&B run under `<stage>/`, over that stage's own step.

    Args:
        stage: Name of the stage.
        directory: Run directory.
    """

    def __init__(self, stage: str, directory: Path) -> None:
        super().__init__(experiment=wandb.run, save_dir=directory, log_model=False)
        self._stage = stage
        self.experiment.define_metric(f"{stage}/*", step_metric=f"{stage}/step")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log under the stage's name, over its own step."""
        named = {f"{self._stage}/{name}": value for name, value in metrics.items()}
        self.experiment.log({**named, f"{self._stage}/step": step or 0})
