"""What every stage shares: its optimiser, its schedule, and names of what it logs."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from rnc_lightning.numerics import distributed
from rnc_lightning.stages.compiling import compile_in_place, explain_compile_failures
from rnc_lightning.stages.gradient_cache import encode_in_chunks
from rnc_lightning.targets import TargetSpec

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
ScheduleFactory = Callable[..., LRScheduler]


class Stage(LightningModule):
    """One fit: an encoder and what trains it.

    Args:
        encoder: Input x to features (B, F); has `num_features`.
        target: What is regressed.
        optimizer: Makes the optimiser from the parameters that train.
        schedule: Makes the schedule from the optimiser and `epochs`; stepped once an epoch.
        epochs: Number of epochs.
        gradient_cache: Rows (views of samples) that a process encodes at once in training, while the loss sees the
            whole batch; see `encode_in_chunks`, also for what becomes of batch normalisation. None encodes all at
            once.
        channels_last: Whether weights of two-dimensional convolutions and images lie in memory with the channels last.
        compile: Backend of `torch.compile` for the encoder, such as `inductor`; None does not compile.

    Raises:
        ValueError: For a `gradient_cache` that is no whole number from 1 up, or a backend that does not exist.
    """

    takes_local_views = False  # whether it uses `x_local` of a batch

    def __init__(
        self,
        *,
        encoder: nn.Module,
        target: TargetSpec,
        optimizer: OptimizerFactory,
        schedule: ScheduleFactory,
        epochs: int,
        gradient_cache: int | None = None,
        channels_last: bool = False,
        compile: str | None = None,
    ) -> None:
        super().__init__()
        if gradient_cache is not None and (
            isinstance(gradient_cache, bool) or not isinstance(gradient_cache, int) or gradient_cache < 1
        ):
            raise ValueError(f"gradient_cache must be a whole number from 1 up or null, got {gradient_cache}")
        # Neither module nor factory goes into hparams: a checkpoint then holds tensors and plain values only.
        self.encoder = encoder
        self.target = target
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        self._epochs = epochs
        if not isinstance(channels_last, bool):
            raise ValueError(f"channels_last must be true or false, got {channels_last}")
        self._at_once = gradient_cache
        self._channels_last = channels_last
        if channels_last:
            encoder.to(memory_format=torch.channels_last)
        if compile is not None:
            compile_in_place(encoder, compile)
        self._compiled = compile is not None

    @property
    def num_features(self) -> int:
        """Width F of the encoder's features."""
        return int(self.encoder.num_features)  # type: ignore[arg-type]

    @property
    def exported_encoder(self) -> nn.Module:
        """The encoder that the next stage gets."""
        return self.encoder

    def encode(self, x: Tensor, encoder: nn.Module | None = None) -> Tensor:
        """Rows (N, ...) to features (N, F), as the settings say; by another encoder of the same build where given."""
        used: Any = self.encoder if encoder is None else encoder
        if self._channels_last and x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with explain_compile_failures() if self._compiled else nullcontext():
            if self._at_once is not None and self.training:
                return encode_in_chunks(used, x, self._at_once)
            features: Tensor = used(x)
            return features

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimise all that trains; one step of the schedule an epoch."""
        optimizer = self._make_optimizer(self._parameter_groups())
        schedule = self._make_schedule(optimizer, epochs=self._epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """All that trains; what a part wants trained at a rate of its own (`optimizer_groups`) in groups of its own."""
        parts: list[Any] = [part for part in self.modules() if hasattr(part, "optimizer_groups")]
        own = [group for part in parts for group in part.optimizer_groups()]
        apart = {id(parameter) for group in own for parameter in group["params"]}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in apart]
        return [{"params": rest}, *own]

    def log_epoch(self, name: str, value: Tensor, batch_size: int, progress: bool = False) -> None:
        """Log the epoch's mean of a value, weighted by batch size, over all processes."""
        # Put together here: Lightning rounds the mean batch size of uneven processes down to a whole number.
        value, batch_size = distributed.mean_over_rows(value, batch_size)
        self.log(name, value, on_step=False, on_epoch=True, batch_size=batch_size, prog_bar=progress)
