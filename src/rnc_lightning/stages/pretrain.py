"""Stage one: the encoder learns under an objective on its features."""

from typing import Any

from einops import rearrange
from torch import Tensor

from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.factories import ModuleOrFactory, build_for
from rnc_lightning.system.errors import prefix_errors


class Pretrain(Stage):
    """Encoder and objective.

    All views of a batch go through the encoder in one forward, so batch normalisation sees them together,
    as in the official code; with `gradient_cache`, all views of a chunk do.

    Args:
        objective: A module, or what makes one from `in_features` and `target`: features (B, V, F), y (B, D) to a
            scalar loss. Parts of it that learn, such as a projector, are not handed on. Where it has
            `floor(targets, views)`, the least loss that the batch's labels allow, the distance to it is logged as
            `train/excess`.
        **stage: Arguments of `Stage`.
    """

    def __init__(self, *, objective: ModuleOrFactory, **stage: Any) -> None:
        super().__init__(**stage)
        with prefix_errors("objective"):
            self.objective: Any = build_for(objective, self.num_features, self.target)

    def forward(self, x: Tensor) -> Tensor:
        """Views (B, V, ...) to features (B, V, F)."""
        features = self.encode(rearrange(x, "b v ... -> (b v) ..."))
        return rearrange(features, "(b v) f -> b v f", b=x.shape[0])

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The objective on one batch."""
        size, views = batch["x"].shape[:2]
        loss: Tensor = self.objective(self(batch["x"]), batch["y"])
        self.log_epoch("train/loss", loss.detach(), size, progress=True)
        if hasattr(self.objective, "floor"):
            floor = self.objective.floor(batch["y"], views=views).to(loss)
            self.log_epoch("train/loss_floor", floor, size)
            self.log_epoch("train/excess", loss.detach() - floor, size, progress=True)
        return loss
