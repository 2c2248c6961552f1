"""The regressor: an encoder, frozen or not, a head, and what regularises the features in between."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from rnc_lightning.metrics import FeatureOrdinality, regression_metrics
from rnc_lightning.numerics import distributed
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.factories import build_for
from rnc_lightning.system.errors import prefix_errors
from rnc_lightning.targets import TargetSpec
from rnc_lightning.targets.groups import Groups, group_means

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

    The loss is the head's, over all views of the batch, plus weight x term for each regularizer. In training, and only
    then, the features may be calibrated on their way to the head, and samples may count by their label.

    Args:
        head: Makes the head from `in_features` and `target`; a head has `forward(features)`,
            `loss(outputs, target, weight)` and `decode(outputs)`.
        freeze_encoder: Train the head alone: the encoder takes no gradients and stays in eval mode, so neither
            its weights nor its batch-norm statistics change.
        frozen_autocast: Precision in which a frozen encoder computes; None for that of the trainer.
        regularizers: By name, `term` (a module, or what makes one from `in_features` and `target`: features (B, V, F),
            y (B, D) to a scalar; with `needs_predictions` it gets the decoded predictions (B, V, D) too, without their
            graph) and its `weight`.
        weighting: Makes from `target` what turns y (B, D) into the weight (B,) of each sample; None for ones.
        calibration: Makes from `in_features` and `target` what turns the training features (N, F) and their y (N, D)
            into those that the head sees (see `FDS`); None leaves them as they are.
        views: Views of a training sample; None where batches have no such axis.
        **stage: Arguments of `Stage`.

    Raises:
        ValueError: For a regularizer that could change nothing, or has no term or no finite weight; for a
            `gradient_cache` of a frozen encoder; for what a `Stage` refuses.
    """

    def __init__(
        self,
        *,
        head: HeadFactory,
        freeze_encoder: bool = False,
        frozen_autocast: Literal["bfloat16", "float16"] | None = None,
        regularizers: Mapping[str, Mapping[str, Any]] | None = None,
        weighting: Callable[..., nn.Module] | None = None,
        calibration: Callable[..., nn.Module] | None = None,
        views: int | None = None,
        **stage: Any,
    ) -> None:
        super().__init__(**stage)
        if frozen_autocast not in (None, "bfloat16", "float16"):
            raise ValueError(f"frozen_autocast must be bfloat16, float16 or null, got {frozen_autocast!r}")
        if regularizers and freeze_encoder:
            raise ValueError(
                f"regularizers ({', '.join(regularizers)}) cannot change a frozen encoder's features; "
                "choose another scheme, such as scheme=fine_tune"
            )
        if self._at_once is not None and freeze_encoder:
            raise ValueError("gradient_cache: a frozen encoder keeps no activations, so there is nothing to save")
        self.head: Any = head(in_features=self.num_features, target=self.target)
        self.freeze_encoder = freeze_encoder
        self._frozen_dtype = getattr(torch, frozen_autocast) if frozen_autocast else None
        width, target = self.num_features, self.target
        terms = {name: _term(name, given, width, target) for name, given in (regularizers or {}).items()}
        self.regularizers = nn.ModuleDict(terms)
        self._weights = {name: float(given["weight"]) for name, given in (regularizers or {}).items()}
        with prefix_errors("weighting"):
            self.weighting: Any = None if weighting is None else weighting(target=target)
        with prefix_errors("calibration"):
            self.calibration: Any = None if calibration is None else calibration(in_features=width, target=target)
        self._views = views
        if freeze_encoder:
            self.encoder.requires_grad_(False)
            self.encoder.eval()
        metrics = regression_metrics(len(self.target), self.target.angular_unit)
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self.test_ordinality = FeatureOrdinality(target_distance=self.target.distance)
        self._validation: list[tuple[Tensor, ...]] = []
        self._predictions: list[tuple[Tensor, ...]] = []

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder stays in eval mode whatever the trainer asks for."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Input (B, ...) to features (B, F), without a graph where the encoder is frozen."""
        if not self.freeze_encoder:
            return self.encode(x)
        if self._frozen_dtype is None:
            with torch.no_grad():
                return self.encode(x)
        with torch.no_grad(), torch.autocast(x.device.type, dtype=self._frozen_dtype):
            return self.encode(x).float()

    def fit_labels(self, labels: Tensor) -> None:
        """Let the head and the weighting take what they need from the training labels (N, D)."""
        for part in (self.head, self.weighting):
            if hasattr(part, "fit_labels"):
                part.fit_labels(labels)

    def forward(self, x: Tensor) -> Tensor:
        """Input (B, ...) to prediction (B, D) in label units."""
        return self.head.decode(self.head(self.features(x)))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss on one batch."""
        y = batch["y"]
        features = self.training_features(batch)
        rows, labels = features.flatten(0, 1), y.repeat_interleave(features.shape[1], dim=0)
        if self.calibration is not None:
            if not self.calibration.second_pass:
                self.calibration.collect(rows, labels)
            rows = self.calibration(rows, labels)
        outputs = self.head(rows)
        weight = None if self.weighting is None else self.weighting(labels)
        head_loss: Tensor = self.head.loss(outputs, labels, weight)
        if self.regularizers:
            self.log_epoch("train/head_loss", head_loss.detach(), len(y))
        loss = distributed.weight_by_rows(head_loss, len(y))
        logged = head_loss.detach()
        for name, term in self.regularizers.items():
            value = term(features, y, *self._predictions_for(term, outputs, features.shape[1]))
            self.log_epoch(f"train/{name}", value.detach(), len(y))
            loss = loss + self._weights[name] * value
            logged = logged + self._weights[name] * value.detach()
        self.log_epoch("train/loss", logged, len(y), progress=True)
        return loss

    def training_features(self, batch: dict[str, Tensor]) -> Tensor:
        """Features (B, V, F) of a training batch, V = 1 where it has no views."""
        if self._views is None:
            return self._batch_features(batch)[:, None]
        features = self.features(rearrange(batch["x"], "b v ... -> (b v) ..."))
        return rearrange(features, "(b v) f -> b v f", v=self._views)

    def _predictions_for(self, term: nn.Module, outputs: Tensor, views: int) -> tuple[Tensor, ...]:
        if not getattr(term, "needs_predictions", False):
            return ()
        return (rearrange(self.head.decode(outputs.detach()), "(b v) d -> b v d", v=views),)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        prediction = self.head.decode(self.head(self._batch_features(batch))).float()
        if self._groups("val") is None:
            self.val_metrics.update(prediction, batch["y"])
        else:
            self._validation.append((batch["index"], batch["y"], prediction))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole validation set."""
        if (groups := self._groups("val")) is not None:
            index, y, prediction = (torch.cat(parts) for parts in zip(*self._validation, strict=True))
            self._validation.clear()
            index, y, prediction = (distributed.gather_rows(part) for part in (index, y, prediction))
            _, y, prediction = _averaged(groups, index, y, prediction)
            if not distributed.is_first():  # the metrics are put together over all processes: once is enough
                y, prediction = y[:0], prediction[:0]
            self.val_metrics.update(prediction, y)
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()

    def on_test_epoch_start(self) -> None:
        """Forget an earlier test's predictions."""
        self._predictions.clear()

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the test metrics and keep its predictions."""
        features = self.features(batch["x"]).float()
        prediction = self.head.decode(self.head(features)).float()
        if self._groups("test") is None:
            self.test_metrics.update(prediction, batch["y"])
            self.test_ordinality.update(features, batch["y"])
        kept = (batch["index"], batch["y"], prediction, features)
        self._predictions.append(tuple(tensor.cpu() for tensor in kept))

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole test set."""
        if (groups := self._groups("test")) is not None:
            kept = (torch.cat(parts) for parts in zip(*self._predictions, strict=True))
            self._predictions = [averaged := _averaged(groups, *kept)]
            _, y, prediction, features = (tensor.to(self.device) for tensor in averaged)
            self.test_metrics.update(prediction, y)
            self.test_ordinality.update(features, y)
        ordinality = {f"test/{name}": value for name, value in self.test_ordinality.compute().items()}
        self.log_dict({**self.test_metrics.compute(), **ordinality})
        self.test_metrics.reset()
        self.test_ordinality.reset()

    def predictions(self) -> Predictions:
        """All that the last test predicted; where samples belong together, a row and the index of each group."""
        return Predictions(*(torch.cat(parts) for parts in zip(*self._predictions, strict=True)))

    def _groups(self, split: str) -> Groups | None:
        """Which samples of a split belong together, by the data module that the trainer draws from."""
        datamodule = getattr(self.trainer, "datamodule", None)
        return datamodule.splits[split].groups if datamodule is not None else None

    def _batch_features(self, batch: dict[str, Tensor]) -> Tensor:
        """The batch's features, from its inputs unless they were computed before the first epoch."""
        return batch["features"] if "features" in batch else self.features(batch["x"])


def _averaged(groups: Groups, index: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Indices of the groups that samples belong to, and means of the values over each."""
    found = torch.unique(groups.index[index.cpu()])
    return found, *(group_means(value, groups, index)[found.to(value.device)] for value in values)


def _term(name: str, given: Mapping[str, Any], in_features: int, target: TargetSpec) -> nn.Module:
    weight = given.get("weight")
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise ValueError(f"regularizers.{name}.weight must be a finite number, got {weight}")
    with prefix_errors(f"regularizers.{name}.term"):
        term: nn.Module = build_for(given.get("term"), in_features, target)
    return term
