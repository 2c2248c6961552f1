"""Callbacks of every stage: seeds per epoch, the history, and stopping on SIGTERM or a non-finite loss."""

import json
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor

from rnc_lightning.numerics.seeding import derive_seed, seed_all
from rnc_lightning.system.errors import NonFiniteLossError
from rnc_lightning.system.files import write_text
from rnc_lightning.system.signals import raise_terminated


class StopOnSigterm(Callback):
    """Let SIGTERM stop training at once if the program uses `signals.raise_on_sigterm`.

    Lightning installs its own handler, which communicates with the other processes; these may already be stopped.
    """

    def __init__(self) -> None:
        self._ours = signal.getsignal(signal.SIGTERM) is raise_terminated

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Restore the handler."""
        if self._ours:
            signal.signal(signal.SIGTERM, raise_terminated)


class EpochSeed(Callback):
    """Seed all generators at each epoch from (seed, epoch, rank), so that a resumed epoch equals the original one."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Seed the generators."""
        seed_all(derive_seed(self.seed, "epoch", trainer.current_epoch, trainer.global_rank))


class EpochTable(Callback):
    """Rows of numbers that are kept in the checkpoint and written to a CSV file.

    Unlike a log file that is appended to, the table is complete after a resume.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """The rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows from the checkpoint."""
        self.rows = list(state_dict["rows"])

    def write(self, path: Path) -> None:
        """Write all rows."""
        write_text(path, pd.DataFrame(self.rows).to_csv(index=False))


class EpochHistory(EpochTable):
    """One row per epoch: metrics, learning rate, seconds."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._lr = float("nan")
        self._started = 0.0

    @property
    def seconds(self) -> float:
        """Wall time of all epochs, including those before a resume."""
        return sum(row["seconds"] for row in self.rows)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remember the start time and the learning rate of the epoch."""
        self._started = time.perf_counter()
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's row and rewrite the file."""
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith(("train/", "val/"))}
        row = {"epoch": trainer.current_epoch + 1, "step": trainer.global_step, "lr": self._lr, **metrics}
        self.rows.append({**row, "seconds": time.perf_counter() - self._started})
        if trainer.is_global_zero:
            self.write(self.path)


class NonFiniteLossGuard(Callback):
    """Stop at the first loss that is NaN or infinite, before it changes the weights.

    The epoch, the step and the batch's sample indices are written to `path`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._index: Tensor | None = None

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        """Remember which samples are in the batch."""
        self._index = batch["index"]

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        """Check the loss.

        With `precision: 16-mixed` the loss scale has multiplied it in float32, where a finite loss stays finite.
        Gradients that the scale makes infinite are not a failure: the scaler skips the step and lowers the scale.

        Raises:
            NonFiniteLossError: If the loss is NaN or infinite.
        """
        if torch.isfinite(loss):
            return
        epoch, step = trainer.current_epoch + 1, trainer.global_step
        indices = [] if self._index is None else self._index.tolist()
        report = {"loss": str(loss.item()), "epoch": epoch, "step": step, "indices": indices}
        write_text(self.path, json.dumps(report, indent=1))
        is_fp16 = str(trainer.precision).startswith("16")
        hint = " Or the encoder has exceeded the range of fp16: bf16-mixed has a wider range." if is_fp16 else ""
        raise NonFiniteLossError(
            f"the training loss became {loss.item()} in epoch {epoch}, step {step}; the batch's sample indices are in "
            f"{self.path}. Most often a lower learning rate (recipe.*.lr) helps.{hint}"
        )
