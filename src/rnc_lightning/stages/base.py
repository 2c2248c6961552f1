"""Base class of all stages: encoder, optimiser, schedule and logging."""

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
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.stages.compiling import compile_in_place, explain_compile_failures
from rnc_lightning.stages.gradient_cache import encode_in_chunks
from rnc_lightning.targets import TargetSpec
from rnc_lightning.targets.missing import has_all_labels

OptimizerFactory = Callable[[Iterable[Any]], Optimizer]
ScheduleFactory = Callable[..., LRScheduler]


class Stage(LightningModule):
    """One fit of an encoder.

    Args:
        encoder: Module from input x to features (B, F), with an attribute `num_features`.
        target: The target, fitted to the training labels. Objectives, heads and their hyperparameters see labels as
            `TargetSpec.to_model` scales them; metrics and predictions are in label units.
        optimizer: Builds the optimiser from the trainable parameters.
        schedule: Builds the schedule from the optimiser and `epochs`; it takes one step per epoch.
        epochs: Number of epochs.
        gradient_cache: Number of rows (views of samples) that a process encodes at once in training, while the loss
            uses the whole batch; see `encode_in_chunks`, also for the effect on batch normalisation. None encodes all
            rows at once.
        channels_last: Whether images and the weights of 2-D convolutions are stored with the channels last.
        compile: Backend of `torch.compile` for the encoder, such as `inductor`; None does not compile.

    Raises:
        ValueError: If `gradient_cache` is not a whole number from 1 up, `channels_last` is not a boolean, or the
            backend does not exist; or if the encoder has no `num_features`.
    """

    takes_local_views = False  # whether it uses `x_local` of a batch
    monitor: str | None = None  # name of the metric that chooses the best epoch

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
        if gradient_cache is not None:
            check_whole_number("gradient_cache", gradient_cache, least=1)
        if not hasattr(encoder, "num_features"):
            raise ValueError(
                f"an encoder needs num_features, the width of its features; {type(encoder).__name__} has none"
            )
        if not isinstance(channels_last, bool):
            raise ValueError(f"channels_last must be true or false, got {channels_last}")
        # Modules and factories are not saved as hyperparameters, so that a checkpoint holds tensors and plain values.
        self.encoder = encoder
        self.target = target
        self._make_optimizer = optimizer
        self._make_schedule = schedule
        self._epochs = epochs
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

    def rows_for_distances(self, features: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Features (B, V, F) and labels (B, D) for label distances; samples without all their labels are left out."""
        labels = self.target.distance_labels(y)
        if not self.target.partial:
            return features, labels
        complete = has_all_labels(labels)
        return features[complete], labels[complete]

    @staticmethod
    def loss_term(module: Any, features: Tensor, *labels: Tensor) -> Tensor:
        """Value of an objective or regularizer; 0 if `rows_for_distances` has left out all samples."""
        if not len(features) and distributed.world_size() == 1:
            return features.sum() * 0
        value: Tensor = module(features, *labels)
        return value

    @property
    def exported_encoder(self) -> nn.Module:
        """The encoder that the next stage gets."""
        return self.encoder

    def encode(self, x: Tensor, encoder: nn.Module | None = None) -> Tensor:
        """Rows (N, ...) to features (N, F), by `self.encoder` or another encoder of the same type."""
        used: Any = self.encoder if encoder is None else encoder
        if self._channels_last and x.dim() == 4:
            x = x.contiguous(memory_format=torch.channels_last)
        with explain_compile_failures() if self._compiled else nullcontext():
            if self._at_once is not None and self.training:
                return encode_in_chunks(used, x, self._at_once)
            features: Tensor = used(x)
            return features

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Optimiser of all trainable parameters, and a schedule with one step per epoch."""
        optimizer = self._make_optimizer(self._parameter_groups())
        schedule = self._make_schedule(optimizer, epochs=self._epochs)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "epoch"}}

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """All trainable parameters; modules with `optimizer_groups` define separate groups for theirs."""
        parts: list[Any] = [part for part in self.modules() if hasattr(part, "optimizer_groups")]
        groups = [group for part in parts for group in part.optimizer_groups()]
        grouped = {id(parameter) for group in groups for parameter in group["params"]}
        rest = [p for p in self.parameters() if p.requires_grad and id(p) not in grouped]
        return [{"params": rest}, *groups]

    def log_epoch(self, name: str, value: Tensor, batch_size: int, progress: bool = False) -> None:
        """Log the mean of a value over an epoch and all processes, weighted by batch size."""
        # Reduced here, because Lightning rounds the mean batch size of uneven processes down to a whole number.
        value, batch_size = distributed.mean_over_rows(value, batch_size)
        self.log(name, value, on_step=False, on_epoch=True, batch_size=batch_size, prog_bar=progress)
