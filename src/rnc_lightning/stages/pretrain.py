"""Stage one: train the encoder with an objective on its features."""

from typing import Any

from einops import rearrange
from torch import Tensor

from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.factories import ModuleOrFactory, build_for
from rnc_lightning.system.errors import prefix_errors


class Pretrain(Stage):
    """Encoder and objective.

    All views of a batch (with `gradient_cache`, of a chunk) go through the encoder in one forward, so that batch
    normalisation uses all of them, as in the official code.

    Args:
        objective: A module from features (B, V, F) and y (B, D) to a scalar loss, or a function that builds it from
            `in_features` and `target`. Its trainable parts, such as a projector, are not passed to the next stage. If
            it has `floor(targets, views)`, the lower bound of the loss for the labels of a batch, the difference is
            logged as `train/excess`.
        **stage: Arguments of `Stage`.
    """

    def __init__(self, *, objective: ModuleOrFactory, **stage: Any) -> None:
        super().__init__(**stage)
        with prefix_errors("objective"):
            self.objective: Any = build_for(objective, self.num_features, self.target.for_distances())

    def forward(self, x: Tensor) -> Tensor:
        """Views (B, V, ...) to features (B, V, F)."""
        features = self.encode(rearrange(x, "b v ... -> (b v) ..."))
        return rearrange(features, "(b v) f -> b v f", b=x.shape[0])

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        size, views = batch["x"].shape[:2]
        features, labels = self.rows_for_distances(self(batch["x"]), batch["y"])
        loss = self.loss_term(self.objective, features, labels)
        self.log_epoch("train/loss", loss.detach(), size, progress=True)
        if hasattr(self.objective, "floor") and len(labels):
            floor = self.objective.floor(labels, views=views).to(loss)
            self.log_epoch("train/loss_floor", floor, size)
            self.log_epoch("train/excess", loss.detach() - floor, size, progress=True)
        return loss
