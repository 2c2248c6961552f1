"""The regressor: an encoder, frozen or not, and a head."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from rnc_lightning.metrics import FeatureOrdinality, regression_metrics
from rnc_lightning.stages.base import Stage

HeadFactory = Callable[..., nn.Module]


@dataclass(frozen=True)
class Predictions:
    """What the regressor said of a split, in the split's order."""

    index: Tensor  # (N,)
    target: Tensor  # (N, D)
    prediction: Tensor  # (N, D)
    features: Tensor  # (N, F)


class Regress(Stage):
    """Encoder and head; the head's loss is minimised, its decoded prediction is measured.

    Args:
        head: Makes the head from `in_features` and `target`; a head has `forward(features)`,
            `loss(outputs, target, weight)` and `decode(outputs)`.
        freeze_encoder: Train the head alone: the encoder takes no gradients and stays in eval mode, so neither
            its weights nor its batch-norm statistics change.
        **stage: Arguments of `Stage`.
    """

    def __init__(self, *, head: HeadFactory, freeze_encoder: bool = False, **stage: Any) -> None:
        super().__init__(**stage)
        self.head: Any = head(in_features=self.encoder.num_features, target=self.target)
        self.freeze_encoder = freeze_encoder
        if freeze_encoder:
            self.encoder.requires_grad_(False)
            self.encoder.eval()
        metrics = regression_metrics(len(self.target), self.target.angular_unit)
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self.test_ordinality = FeatureOrdinality(target_distance=self.target.distance)
        self._predictions: list[tuple[Tensor, ...]] = []

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder stays in eval mode whatever the trainer asks for."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Input (B, ...) to features (B, F), without a graph where the encoder is frozen."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_encoder):
            return self.encoder(x)

    def forward(self, x: Tensor) -> Tensor:
        """Input (B, ...) to prediction (B, D) in label units."""
        return self.head.decode(self.head(self.features(x)))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The head's loss on one batch."""
        loss: Tensor = self.head.loss(self.head(self.features(batch["x"])), batch["y"])
        self.log_epoch("train/loss", loss.detach(), len(batch["y"]), progress=True)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        self.val_metrics.update(self(batch["x"]).float(), batch["y"])

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole validation set."""
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test's predictions."""
        self._predictions.clear()

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the test metrics and keep its predictions."""
        features = self.features(batch["x"]).float()
        prediction = self.head.decode(self.head(features)).float()
        self.test_metrics.update(prediction, batch["y"])
        self.test_ordinality.update(features, batch["y"])
        kept = (batch["index"], batch["y"], prediction, features)
        self._predictions.append(tuple(tensor.cpu() for tensor in kept))

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole test set."""
        ordinality = {f"test/{name}": value for name, value in self.test_ordinality.compute().items()}
        self.log_dict({**self.test_metrics.compute(), **ordinality})
        self.test_metrics.reset()
        self.test_ordinality.reset()

    def predictions(self) -> Predictions:
        """All that the last test predicted."""
        return Predictions(*(torch.cat(parts) for parts in zip(*self._predictions, strict=True)))
