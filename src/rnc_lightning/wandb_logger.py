"""A Lightning logger that keeps the stages of one run apart in W&B."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

from rnc_lightning.wandb_run import report_results, tolerated


class StageWandbLogger(WandbLogger):
    """Logs to the open W&B run under `<stage>/`, over that stage's own step; what fails there is a warning.

    Args:
        run: The open W&B run.
        stage: Name of the stage.
        directory: Run directory.
        log_encoder: Whether `report` sends the encoder too.
    """

    def __init__(self, run: "wandb.Run", stage: str, directory: Path, log_encoder: bool = False) -> None:
        super().__init__(experiment=run, save_dir=directory, log_model=False)
        self._run = run
        self._stage = stage
        self._directory = directory
        self._log_encoder = log_encoder

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log under the stage's name, over its own step."""
        named = {f"{self._stage}/{name}": value for name, value in metrics.items()}
        with tolerated("logging metrics"):
            self._run.log({**named, f"{self._stage}/step": step or 0})

    @rank_zero_only
    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Do nothing: W&B has the whole configuration from the start."""

    def report(self, result: Mapping[str, Any], replay: Iterable[str]) -> None:
        """Send what the run ended with."""
        report_results(self._run, self._directory, result, replay, self._log_encoder)
