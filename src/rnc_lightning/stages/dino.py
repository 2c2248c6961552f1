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
    """A student (encoder and head) and a teacher of the same build, whose weights follow the student's.

    The teacher sees the views of a batch (`x`), the student also the local ones (`x_local`), which are smaller and so
    take a forward of their own. The teacher takes no gradients; its batch normalisation runs statistics of its own.
    The teacher's encoder is handed on.

    Args:
        objective: `DINO`, or what makes one from `in_features` and `target`; it holds all of the method's numbers.
        **stage: Arguments of `Stage`.

    Raises:
        ValueError: For another objective, and as `Stage`.
    """

    takes_local_views = True

    def __init__(self, *, objective: ModuleOrFactory, **stage: Any) -> None:
        teacher: nn.Module = deepcopy(stage["encoder"])  # before the student's is compiled
        super().__init__(**stage)
        width: Any = self.encoder.num_features
        with prefix_errors("objective"):
            made = build_for(objective, width, self.target, stage=DINO.needs_stage)
            if not isinstance(made, DINO):
                raise ValueError(f"this stage trains DINO alone, not {type(made).__name__}")
        self.objective = made
        self.teacher_encoder = teacher
        self.teacher_head = deepcopy(made.head)
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
        """Count the steps of the whole stage, and begin with equal weights whatever was loaded into the student's."""
        self._steps = int(self.trainer.estimated_stepping_batches)
        if self.trainer.global_step == 0:
            self.teacher_encoder.load_state_dict(self.encoder.state_dict())

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss on one batch."""
        x, objective = batch["x"], self.objective
        with torch.no_grad():
            teacher = _by_row(self.teacher_head, self._features(x, self.teacher_encoder))
        seen = [self(x)] + ([self(batch["x_local"])] if "x_local" in batch else [])
        student = _by_row(objective.head, torch.cat(seen, dim=1))
        entropy = objective.teacher_entropy(teacher, self.current_epoch)  # by the centre that the loss sees
        loss: Tensor = objective(student, teacher, self.current_epoch)
        self.log_epoch("train/loss", loss.detach(), len(x), progress=True)
        self.log_epoch("train/teacher_entropy", entropy, len(x), progress=True)
        self.log_epoch("train/teacher_momentum", entropy.new_tensor(self._momentum()), len(x))
        return loss

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """As every stage; after each step that is really taken, which a loss scale may prevent, the teacher follows."""
        configured = super().configure_optimizers()
        configured["optimizer"].register_step_post_hook(lambda *_: self._follow())
        return configured

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """In the first epochs the prototypes stay: without a gradient there is no weight decay either."""
        if self.current_epoch < self.objective.frozen_last_layer_epochs:
            for parameter in self.objective.head.last.parameters():
                parameter.grad = None

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip as the objective says, unless the trainer clips."""
        if gradient_clip_val is None:
            gradient_clip_val = self.objective.gradient_clip
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def _features(self, x: Tensor, encoder: nn.Module) -> Tensor:
        return rearrange(self.encode(rearrange(x, "b v ... -> (b v) ..."), encoder), "(b v) f -> b v f", b=len(x))

    def _momentum(self) -> float:
        return self.objective.momentum(self.trainer.global_step, self._steps)

    def _follow(self) -> None:
        momentum = self._momentum()
        update_teacher(self.teacher_encoder, self.encoder, momentum)
        update_teacher(self.teacher_head, self.objective.head, momentum)


def _by_row(head: nn.Module, features: Tensor) -> Tensor:
    """Features (B, V, F) to outputs (B, V, K), all in one forward."""
    outputs: Tensor = head(features.flatten(0, 1))
    return outputs.reshape(*features.shape[:2], outputs.shape[-1])
