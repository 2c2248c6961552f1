"""What becomes of the features while the encoder of stage one learns, seen without touching the training."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from einops import rearrange
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import default_collate

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split
from rnc_lightning.datasets.transform import Transform
from rnc_lightning.metrics import effective_rank, feature_ordinality, neighbours_error, ridge_error, view_alignment
from rnc_lightning.numerics.seeding import derive_seed, seeded
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.regress import Regress
from rnc_lightning.system.files import write_text
from rnc_lightning.targets import TargetSpec

PREFIX = "diagnostics/"
_VIEWED = 64  # training samples whose two views are compared
_ANCHORS = 64  # of the ordinality: each against all samples
_Batches = list[dict[str, Tensor]]


class StageOneDiagnostics(Callback):
    """Measure the features of a fixed part of training and validation set every few epochs of stage one.

    A row goes to `diagnostics.csv` beside the stage's history and to the stage's loggers. Nothing of the fit changes:
    the encoder is used in evaluation mode, all modes and all generators are put back. A regressor is left alone, since
    its validation says more. Of several processes the first one measures, while the others wait for its next step.

    Args:
        every_n_epochs: A row after each so many epochs, and after the last one.
        max_samples: Most samples of training and of validation set each, evenly spaced. Their inputs are read once
            and kept in main memory.
        neighbours: Nearest training samples whose mean target is the prediction of a validation sample.

    Raises:
        ValueError: For an argument that is no whole number from 1 up.
    """

    def __init__(self, every_n_epochs: int = 10, max_samples: int = 256, neighbours: int = 10) -> None:
        given = {"every_n_epochs": every_n_epochs, "max_samples": max_samples, "neighbours": neighbours}
        for name, value in given.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number from 1 up, got {value}")
        self.every_n_epochs = every_n_epochs
        self.max_samples = max_samples
        self.neighbours = neighbours
        self.rows: list[dict[str, float]] = []
        self._samples: _Samples | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier stage; what a checkpoint holds of this one is loaded after it."""
        self.rows = []
        self._samples = None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Let go of the inputs."""
        self._samples = None

    def state_dict(self) -> dict[str, Any]:
        """The rows."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up the rows of the checkpoint."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row where one is due."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if isinstance(pl_module, Regress) or not due or not trainer.is_global_zero:
            return
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, Stage)
        assert isinstance(datamodule, RegressionDataModule)
        began = time.perf_counter()
        encoder = pl_module.exported_encoder
        with _undisturbed(encoder, datamodule.seed), trainer.precision_plugin.forward_context():
            if self._samples is None:
                self._samples = _Samples(datamodule, self.max_samples)
            values = self._samples.measured(encoder, trainer, pl_module.target, self.neighbours)
        values = {f"{PREFIX}{name}": value for name, value in values.items()}
        row = {"epoch": epoch, "step": trainer.global_step, **values}
        self.rows.append({**row, "seconds": time.perf_counter() - began})
        write_text(
            StageDirectory(Path(trainer.default_root_dir)).diagnostics, pd.DataFrame(self.rows).to_csv(index=False)
        )
        # Not through the module's own log: what is logged there stays among the metrics of epochs without a row.
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": epoch - 1}, step=trainer.global_step - 1)


class _Samples:
    """The fixed part of a data set: inputs as they look in evaluation, and two augmented views of some."""

    def __init__(self, datamodule: RegressionDataModule, most: int) -> None:
        self._datamodule = datamodule
        train, val = datamodule.splits["train"], datamodule.splits["val"]
        chosen = {"train": evenly_spaced(len(train), most), "val": evenly_spaced(len(val), most)}
        self._train_y, self._val_y = train.targets[chosen["train"]], val.targets[chosen["val"]]
        self._train = self._read(train, chosen["train"], datamodule.eval_transform)
        self._val = self._read(val, chosen["val"], datamodule.eval_transform)
        # Of training samples: a data set may have cut those of validation already, with no room for a crop.
        viewed = evenly_spaced(len(train), min(most, _VIEWED))
        self._views = self._read(train, viewed, datamodule.train_transform, views=2)

    def measured(self, encoder: nn.Module, trainer: Trainer, target: TargetSpec, neighbours: int) -> dict[str, float]:
        """All diagnostics of an encoder as it stands."""
        train, val, views = (self._features(encoder, trainer, part) for part in (self._train, self._val, self._views))
        pairs = rearrange(views, "(b v) f -> b v f", v=2)
        return compute_diagnostics(train, self._train_y, val, self._val_y, pairs, target, neighbours)

    def _read(self, split: Split, chosen: Sequence[int], transform: Transform, views: int | None = None) -> _Batches:
        # Images stay bytes, a quarter of the memory; the data module finishes them on any device.
        dataset = ViewsDataset(split, transform, views, on_device=True)
        seed, at_once = self._datamodule.seed, self._datamodule.eval_batch_size
        draws = [Draw(index, derive_seed(seed, "diagnostics", index)) for index in chosen]
        parts = (draws[start : start + at_once] for start in range(0, len(draws), at_once))
        batches = (default_collate([dataset[draw] for draw in part]) for part in parts)
        return [{key: _rows(batch[key], views) for key in ("x", "colour") if key in batch} for batch in batches]

    def _features(self, encoder: nn.Module, trainer: Trainer, batches: _Batches) -> Tensor:
        device, plugin = trainer.strategy.root_device, trainer.precision_plugin
        features = []
        for batch in batches:
            there = {key: value.to(device) for key, value in batch.items()}
            x = plugin.convert_input(self._datamodule.on_after_batch_transfer(there)["x"])
            # The plain forward: torch.compile would be at work for shapes that training never sees.
            features.append(encoder.forward(x).float().cpu())
        return torch.cat(features)


def compute_diagnostics(
    train: Tensor,
    train_targets: Tensor,
    val: Tensor,
    val_targets: Tensor,
    views: Tensor,
    target: TargetSpec,
    neighbours: int,
) -> dict[str, float]:
    """The diagnostics of features, by name.

    Args:
        train: (m, F), which the probes are fitted to.
        train_targets: (m, D).
        val: (n, F), which all but the alignment is measured on.
        val_targets: (n, D).
        views: (B, V, F), augmented views of training samples.
        target: What the targets are.
        neighbours: See `neighbours_error`.
    """
    samples, unit = (train, train_targets, val, val_targets), target.angular_unit
    error = "mae" if unit is None else "angular"
    ordinality = feature_ordinality(val, val_targets, target.distance, max_anchors=_ANCHORS)
    return {
        f"ridge_{error}": ridge_error(*samples, unit),
        f"neighbours_{error}": neighbours_error(*samples, neighbours, unit),
        **ordinality,
        "effective_rank": effective_rank(val),
        "view_alignment": view_alignment(views),
    }


def evenly_spaced(n: int, most: int) -> list[int]:
    """At most so many of n places, evenly spaced from the first to the last."""
    places: list[int] = np.linspace(0, n - 1, min(n, most)).round().astype(np.int64).tolist()
    return places


def _rows(x: Tensor, views: int | None) -> Tensor:
    return x if views is None else x.flatten(0, 1)


@contextmanager
def _undisturbed(module: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode, no gradients, generators of its own; modes and generators are then as before."""
    modes = {part: part.training for part in module.modules()}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with seeded(seed), torch.random.fork_rng(devices), torch.no_grad():  # `seeded` leaves GPUs out
        module.eval()
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode
