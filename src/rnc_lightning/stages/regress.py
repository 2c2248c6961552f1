"""The regressor: an encoder (frozen or not), a head, and regularizers on the features between them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import torch
from einops import rearrange
from torch import Tensor, nn

from rnc_lightning.metrics import EpochMeanAbsoluteError, FeatureOrdinality, regression_metrics
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_choice, check_finite_number
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.factories import build_for
from rnc_lightning.system.errors import prefix_errors
from rnc_lightning.targets.groups import Groups, group_means
from rnc_lightning.targets.missing import has_all_labels

HeadFactory = Callable[..., nn.Module]


@dataclass(frozen=True)
class Predictions:
    """Predictions for a split, in its order."""

    index: Tensor  # (N,)
    target: Tensor  # (N, D)
    prediction: Tensor  # (N, D)
    features: Tensor  # (N, F)


class Regress(Stage):
    """Encoder and head: the loss is the head's, metrics are computed from its decoded predictions.

    The loss is that of the head over all views of the batch, plus weight x term for each regularizer. In training only,
    the features may be calibrated before the head, and samples may be weighted by label.

    Args:
        head: Builds the head from `in_features` and `target`; a head has `forward(features)`,
            `loss(outputs, target, weight)` and `decode(outputs)`.
        freeze_encoder: Train only the head: the encoder takes no gradients and stays in eval mode, so neither its
            weights nor its batch-norm statistics change.
        frozen_autocast: Precision of a frozen encoder; None for that of the trainer.
        regularizers: By name, the `weight` and the `term`: a module from features (B, V, F) and y (B, D) to a scalar,
            or a function that builds it from `in_features` and `target`. If it has `needs_predictions`, it also gets
            the decoded predictions (B, V, D), detached; with `needs_weights` the sample weights (B,), if any.
        weighting: Builds from `target` a module from y (B, D) to sample weights (B,); None for ones.
        calibration: Builds from `in_features` and `target` a module from training features (N, F) and y (N, D) to the
            features that the head gets (see `FDS`); None for no calibration.
        views: Views of a training sample; None if batches have no such axis.
        **stage: Arguments of `Stage`.

    Raises:
        ValueError: If a regularizer has no term or no finite weight, or is combined with a frozen encoder; if
            `gradient_cache` is combined with a frozen encoder; or as in `Stage`.
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
        check_choice("frozen_autocast", frozen_autocast, ("bfloat16", "float16", None))
        if regularizers and freeze_encoder:
            raise ValueError(
                f"regularizers ({', '.join(regularizers)}) have no effect on the features of a frozen encoder; "
                "choose another scheme, such as scheme=fine_tune"
            )
        if self._at_once is not None and freeze_encoder:
            raise ValueError(
                "gradient_cache has no effect on a frozen encoder, which keeps no activations; set it to null"
            )
        self.head: Any = head(in_features=self.num_features, target=self.target.in_model_units())
        self.freeze_encoder = freeze_encoder
        self._frozen_dtype = getattr(torch, frozen_autocast) if frozen_autocast else None
        width, target = self.num_features, self.target.in_model_units()
        self.regularizers = nn.ModuleDict()
        self._weights: dict[str, float] = {}
        for name, options in (regularizers or {}).items():
            weight: Any = options.get("weight")
            check_finite_number(f"regularizers.{name}.weight", weight)
            with prefix_errors(f"regularizers.{name}.term"):
                self.regularizers[name] = build_for(options.get("term"), width, self.target.for_distances())
            self._weights[name] = float(weight)
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
        self.monitor = "val/mae"
        self.val_scaled_mae: EpochMeanAbsoluteError | None = None
        if len(self.target) > 1 and self.target.is_scaled:  # in label units the largest dimension would decide alone
            self.monitor = "val/scaled_mae"
            self.val_scaled_mae = EpochMeanAbsoluteError(len(self.target))
        every = regression_metrics(len(self.target), self.target.angular_unit, self.target.names)
        self.test_metrics = every.clone(prefix="test/")
        self.test_ordinality = FeatureOrdinality(target_distance=self.target.distance)
        self._validation: list[tuple[Tensor, ...]] = []
        self._predictions: list[tuple[Tensor, ...]] = []

    def train(self, mode: bool = True) -> Self:
        """Set the mode; a frozen encoder stays in eval mode."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def features(self, x: Tensor) -> Tensor:
        """Input (B, ...) to features (B, F), without a graph if the encoder is frozen."""
        if not self.freeze_encoder:
            return self.encode(x)
        if self._frozen_dtype is None:
            with torch.no_grad():
                return self.encode(x)
        with torch.no_grad(), torch.autocast(x.device.type, dtype=self._frozen_dtype):
            return self.encode(x).float()

    def fit_labels(self, labels: Tensor) -> None:
        """Fit the head and the weighting to the training labels (N, D), if they need it."""
        for part in (self.head, self.weighting):
            if hasattr(part, "fit_labels"):
                part.fit_labels(self.target.to_model(labels))

    def forward(self, x: Tensor) -> Tensor:
        """Input (B, ...) to predictions (B, D) in label units."""
        return self._decode(self.head(self.features(x)))

    def _predict(self, features: Tensor) -> Tensor:
        """Features (B, F) to predictions (B, D) in label units, at least float32 for the metrics."""
        return at_least_float32(self._decode(self.head(features)))

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """Loss of one batch."""
        y = batch["y"]
        features = self.training_features(batch)
        rows, labels = features.flatten(0, 1), self.target.to_model(y).repeat_interleave(features.shape[1], dim=0)
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
            value = self.loss_term(term, *self._regularizer_inputs(term, features, outputs, y))
            self.log_epoch(f"train/{name}", value.detach(), len(y))
            loss = loss + self._weights[name] * value
            logged = logged + self._weights[name] * value.detach()
        self.log_epoch("train/loss", logged, len(y), progress=True)
        return loss

    def _regularizer_inputs(self, term: nn.Module, features: Tensor, outputs: Tensor, y: Tensor) -> list[Tensor]:
        """What a regularizer gets, of the samples that have all their labels."""
        inputs = []
        if getattr(term, "needs_predictions", False):
            decoded = self.target.distance_labels(self._decode(outputs.detach()))
            inputs.append(rearrange(decoded, "(b v) d -> b v d", v=features.shape[1]))
        if getattr(term, "needs_weights", False) and self.weighting is not None:
            inputs.append(self.weighting(self.target.to_model(y)))
        if self.target.partial:
            inputs = [rows[has_all_labels(y)] for rows in inputs]
        return [*self.rows_for_distances(features, y), *inputs]

    def _decode(self, outputs: Tensor) -> Tensor:
        """Outputs of the head to predictions (B, D) in label units, float64 if labels are scaled."""
        decoded: Tensor = self.head.decode(outputs)
        return self.target.to_labels(decoded)

    def training_features(self, batch: dict[str, Tensor]) -> Tensor:
        """Features (B, V, F) of a training batch; V = 1 if it has no views."""
        if self._views is None:
            return self._batch_features(batch)[:, None]
        features = self.features(rearrange(batch["x"], "b v ... -> (b v) ..."))
        return rearrange(features, "(b v) f -> b v f", v=self._views)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the validation metrics."""
        prediction = self._predict(self._batch_features(batch))
        if self._groups("val") is None:
            self._update_validation(batch["y"], prediction)
        else:
            self._validation.append((batch["index"], batch["y"], prediction))

    def on_validation_epoch_end(self) -> None:
        """Log the metrics of the whole validation set."""
        if (groups := self._groups("val")) is not None:
            index, y, prediction = (torch.cat(parts) for parts in zip(*self._validation, strict=True))
            self._validation.clear()
            index, y, prediction = (distributed.gather_rows(part) for part in (index, y, prediction))
            _, y, prediction = _average_groups(groups, index, y, prediction)
            if not distributed.is_first():  # the metrics sum over all processes, so count the groups once
                y, prediction = y[:0], prediction[:0]
            self._update_validation(y, prediction)
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()
        if self.val_scaled_mae is not None:
            scaled = self.val_scaled_mae.compute()
            assert isinstance(scaled, Tensor)
            self.log("val/scaled_mae", scaled)
            self.val_scaled_mae.reset()

    def _update_validation(self, y: Tensor, prediction: Tensor) -> None:
        self.val_metrics.update(prediction, y)
        if self.val_scaled_mae is not None:
            self.val_scaled_mae.update(self.target.to_model(prediction), self.target.to_model(y))

    def on_test_epoch_start(self) -> None:
        """Delete the predictions of an earlier test."""
        self._predictions.clear()

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Add a batch to the test metrics and keep its predictions."""
        features = self.features(batch["x"]).float()
        prediction = self._predict(features)
        if self._groups("test") is None:
            self._update_test(batch["y"], prediction, features)
        self._predictions.append(tuple(x.cpu() for x in (batch["index"], batch["y"], prediction, features)))

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the whole test set."""
        if (groups := self._groups("test")) is not None:
            columns = (torch.cat(parts) for parts in zip(*self._predictions, strict=True))
            self._predictions = [averaged := _average_groups(groups, *columns)]
            _, y, prediction, features = (tensor.to(self.device) for tensor in averaged)
            self._update_test(y, prediction, features)
        ordinality = {f"test/{name}": value for name, value in self.test_ordinality.compute().items()}
        self.log_dict({**self.test_metrics.compute(), **ordinality})
        self.test_metrics.reset()
        self.test_ordinality.reset()

    def _update_test(self, y: Tensor, prediction: Tensor, features: Tensor) -> None:
        self.test_metrics.update(prediction, y)
        self.test_ordinality.update(features, self.target.ranking_labels(y))

    def predictions(self) -> Predictions:
        """Predictions of the last test; for grouped samples, one row and the index of each group."""
        return Predictions(*(torch.cat(parts) for parts in zip(*self._predictions, strict=True)))

    def _groups(self, split: str) -> Groups | None:
        """The groups of samples of a split, from the trainer's data module; None without groups."""
        datamodule = getattr(self.trainer, "datamodule", None)
        return datamodule.splits[split].groups if datamodule is not None else None

    def _batch_features(self, batch: dict[str, Tensor]) -> Tensor:
        """Features of the batch, computed from its inputs unless they were computed before the first epoch."""
        return batch["features"] if "features" in batch else self.features(batch["x"])


def _average_groups(groups: Groups, index: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
    """Indices of the groups of some samples, and the means of the values over each group."""
    present = torch.unique(groups.index[index.cpu()])
    return present, *(group_means(value, groups, index)[present.to(value.device)] for value in values)
