"""Stage one with a teacher: DINO."""

from copy import deepcopy
from typing import Any

import torch
from einops import rearrange
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import Optimizer

from rnc_lightning.objectives.dino import DINO, update_teacher
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.compiling import compile_in_place
from rnc_lightning.stages.factories import ModuleOrFactory, build_for
from rnc_lightning.system.errors import prefix_errors


class Dino(Stage):
    """A student (encoder and head) and a teacher of the same type, a moving average of the student.

    The teacher sees the views of a batch (`x`), the student also the local views (`x_local`), which are smaller and so
    need a separate forward. The teacher takes no gradients and has its own batch-norm statistics. The next stage gets
    the teacher's encoder.

    Args:
        objective: `DINO`, or a function that builds it from `in_features` and `target`; it holds all settings.
        **stage: Arguments of `Stage`.

    Raises:
        ValueError: If the objective is not DINO, or as in `Stage`.
    """

    takes_local_views = True

    def __init__(self, *, objective: ModuleOrFactory, **stage: Any) -> None:
        teacher: nn.Module = deepcopy(stage["encoder"])  # before the student's encoder is compiled
        super().__init__(**stage)
        with prefix_errors("objective"):
            dino = build_for(objective, self.num_features, self.target, stage=DINO.needs_stage)
            if not isinstance(dino, DINO):
                raise ValueError(f"this stage only trains DINO, not {type(dino).__name__}")
        self.objective = dino
        self.teacher_encoder = teacher
        self.teacher_head = deepcopy(dino.head)
        for part in (self.teacher_encoder, self.teacher_head):
            part.requires_grad_(False)
        if self._channels_last:
            teacher.to(memory_format=torch.channels_last)
        if (backend := stage.get("compile")) is not None:
            compile_in_place(teacher, backend)
        self._steps = 1

    @property
    def exported_encoder(self) -> nn.Module:
        """The teacher's encoder."""
        return self.teacher_encoder

    def forward(self, x: Tensor) -> Tensor:
        """Views (B, V, ...) to the student's features (B, V, F)."""
        return self._features(x, self.encoder)

    def on_train_start(self) -> None:
        """Count the steps of the stage, and start the teacher with the weights loaded into the student."""
        self._steps = int(self.trainer.estimated_stepping_batches)
        if self.trainer.global_step == 0:
            self.teacher_encoder.load_state_dict(self.encoder.state_dict())

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        x, objective = batch["x"], self.objective
        with torch.no_grad():
            teacher = _by_row(self.teacher_head, self._features(x, self.teacher_encoder))
        seen = [self(x)] + ([self(batch["x_local"])] if "x_local" in batch else [])
        student = _by_row(objective.head, torch.cat(seen, dim=1))
        entropy = objective.teacher_entropy(teacher, self.current_epoch)  # with the centre that the loss uses
        loss: Tensor = objective(student, teacher, self.current_epoch)
        self.log_epoch("train/loss", loss.detach(), len(x), progress=True)
        self.log_epoch("train/teacher_entropy", entropy, len(x), progress=True)
        self.log_epoch("train/teacher_momentum", entropy.new_tensor(self._momentum()), len(x))
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """As in every stage; the teacher is updated after each step that is not skipped by a loss scaler."""
        configured = super().configure_optimizers()
        configured["optimizer"].register_step_post_hook(lambda *_: self._update_teacher())
        return configured

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Freeze the prototypes in the first epochs; without a gradient there is no weight decay either."""
        if self.current_epoch < self.objective.frozen_last_layer_epochs:
            for parameter in self.objective.head.last.parameters():
                parameter.grad = None

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by the objective's norm, unless the trainer clips."""
        if gradient_clip_val is None:
            gradient_clip_val = self.objective.gradient_clip
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _features(self, x: Tensor, encoder: nn.Module) -> Tensor:
        return rearrange(self.encode(rearrange(x, "b v ... -> (b v) ..."), encoder), "(b v) f -> b v f", b=len(x))

    def _momentum(self) -> float:
        return self.objective.momentum(self.trainer.global_step, self._steps)

    def _update_teacher(self) -> None:
        momentum = self._momentum()
        update_teacher(self.teacher_encoder, self.encoder, momentum)
        update_teacher(self.teacher_head, self.objective.head, momentum)


def _by_row(head: nn.Module, features: Tensor) -> Tensor:
    """Features (B, V, F) to outputs (B, V, K) in one forward."""
    outputs: Tensor = head(features.flatten(0, 1))
    return outputs.reshape(*features.shape[:2], outputs.shape[-1])
