"""Diagnostics of the features while the encoder of stage one is trained; they do not change the training."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from einops import rearrange
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import default_collate

from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.loading.sampling import Draw
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.splits import Split
from rnc_lightning.datasets.transform import Transform
from rnc_lightning.metrics import effective_rank, feature_ordinality, neighbours_error, ridge_error, view_alignment
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.seeding import derive_seed, seeded
from rnc_lightning.runs.directory import StageDirectory
from rnc_lightning.runs.fitting.callbacks import EpochTable
from rnc_lightning.stages.base import Stage
from rnc_lightning.stages.regress import Regress
from rnc_lightning.targets import TargetSpec

PREFIX = "diagnostics/"
_VIEWED = 64  # training samples whose two views are compared
_ANCHORS = 64  # anchors of the ordinality, each compared with all samples
_Batches = list[dict[str, Tensor]]


class StageOneDiagnostics(EpochTable):
    """Measure the features of a fixed part of the training and validation sets every few epochs of stage one.

    Each measurement is a row of `diagnostics.csv`, next to the stage's history, and is sent to the stage's loggers. The
    fit does not change: the encoder is used in evaluation mode, and all modes and generators are restored. A regressor
    is not measured, since its validation error says more. With several processes the first one measures while the
    others wait for its next step.

    Args:
        every_n_epochs: Number of epochs between rows; there is also one after the last epoch.
        max_samples: Largest number of samples from each of the two sets, evenly spaced. Their inputs are read once and
            kept in main memory.
        neighbours: Number of nearest training samples whose mean target is the prediction for a validation sample.

    Raises:
        ValueError: For an argument that is not a whole number from 1 up.
    """

    def __init__(self, every_n_epochs: int = 10, max_samples: int = 256, neighbours: int = 10) -> None:
        super().__init__()
        check_whole_number("every_n_epochs", every_n_epochs, least=1)
        check_whole_number("max_samples", max_samples, least=1)
        check_whole_number("neighbours", neighbours, least=1)
        self.every_n_epochs = every_n_epochs
        self.max_samples = max_samples
        self.neighbours = neighbours
        self._samples: _Samples | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Reset after an earlier stage; the rows of a checkpoint are loaded afterwards."""
        self.rows = []
        self._samples = None

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Free the inputs."""
        self._samples = None

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add a row if one is due."""
        epoch = trainer.current_epoch + 1
        due = epoch % self.every_n_epochs == 0 or epoch == trainer.max_epochs
        if isinstance(pl_module, Regress) or not due or not trainer.is_global_zero:
            return
        datamodule = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(pl_module, Stage)
        assert isinstance(datamodule, RegressionDataModule)
        began = time.perf_counter()
        encoder = pl_module.exported_encoder
        with _evaluation_mode(encoder, datamodule.seed), trainer.precision_plugin.forward_context():
            if self._samples is None:
                self._samples = _Samples(datamodule, self.max_samples)
            values = self._samples.measure(encoder, trainer, pl_module.target, self.neighbours)
        values = {f"{PREFIX}{name}": value for name, value in values.items()}
        row = {"epoch": epoch, "step": trainer.global_step, **values}
        self.rows.append({**row, "seconds": time.perf_counter() - began})
        self.write(StageDirectory(Path(trainer.default_root_dir)).diagnostics)
        # Not with the module's own `log`: its values would stay among the metrics of later epochs without a row.
        for logger in trainer.loggers:
            logger.log_metrics({**values, "epoch": epoch - 1}, step=trainer.global_step - 1)


class _Samples:
    """The fixed part of a data set: inputs as in evaluation, and two augmented views of some training samples."""

    def __init__(self, datamodule: RegressionDataModule, most: int) -> None:
        self._datamodule = datamodule
        train, val = datamodule.splits["train"], datamodule.splits["val"]
        chosen = {"train": evenly_spaced(len(train), most), "val": evenly_spaced(len(val), most)}
        self._train_y, self._val_y = train.targets[chosen["train"]], val.targets[chosen["val"]]
        self._train = self._read(train, chosen["train"], datamodule.eval_transform)
        self._val = self._read(val, chosen["val"], datamodule.eval_transform)
        # Views of training samples: a data set may have cropped its validation inputs, with no room for another crop.
        viewed = evenly_spaced(len(train), min(most, _VIEWED))
        self._views = self._read(train, viewed, datamodule.train_transform, views=2)

    def measure(self, encoder: nn.Module, trainer: Trainer, target: TargetSpec, neighbours: int) -> dict[str, float]:
        """All diagnostics of the encoder with its current weights."""
        train, val, views = (self._features(encoder, trainer, part) for part in (self._train, self._val, self._views))
        pairs = rearrange(views, "(b v) f -> b v f", v=2)
        return compute_diagnostics(train, self._train_y, val, self._val_y, pairs, target, neighbours)

    def _read(self, split: Split, chosen: Sequence[int], transform: Transform, views: int | None = None) -> _Batches:
        # Images stay bytes, which take a quarter of the memory; the data module converts them on the device.
        dataset = ViewsDataset(split, transform, views, on_device=True)
        seed, at_once = self._datamodule.seed, self._datamodule.eval_batch_size
        draws = [Draw(index, derive_seed(seed, "diagnostics", index)) for index in chosen]
        parts = (draws[start : start + at_once] for start in range(0, len(draws), at_once))
        batches = (default_collate([dataset[draw] for draw in part]) for part in parts)
        return [
            {key: batch[key] if views is None else batch[key].flatten(0, 1) for key in ("x", "colour") if key in batch}
            for batch in batches
        ]

    def _features(self, encoder: nn.Module, trainer: Trainer, batches: _Batches) -> Tensor:
        device, plugin = trainer.strategy.root_device, trainer.precision_plugin
        features = []
        for batch in batches:
            on_device = {key: value.to(device) for key, value in batch.items()}
            x = plugin.convert_input(self._datamodule.on_after_batch_transfer(on_device)["x"])
            # `forward` avoids torch.compile, which would compile for shapes that training never uses.
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
        train: Features (m, F) that the probes are fitted to.
        train_targets: Their targets (m, D).
        val: Features (n, F) that everything except the alignment is computed on.
        val_targets: Their targets (n, D).
        views: Features (B, V, F) of augmented views of training samples.
        target: Description of the targets.
        neighbours: See `neighbours_error`.
    """
    samples, unit = (train, train_targets, val, val_targets), target.angular_unit
    error = "mae" if unit is None else "angular"
    ordinality = feature_ordinality(val, target.ranking_labels(val_targets), target.distance, max_anchors=_ANCHORS)
    return {
        f"ridge_{error}": ridge_error(*samples, unit),
        f"neighbours_{error}": neighbours_error(*samples, neighbours, unit),
        **ordinality,
        "effective_rank": effective_rank(val),
        "view_alignment": view_alignment(views),
    }


def evenly_spaced(n: int, most: int) -> list[int]:
    """At most `most` of the indices 0 to n - 1, evenly spaced from the first to the last."""
    indices: list[int] = np.linspace(0, n - 1, min(n, most)).round().astype(np.int64).tolist()
    return indices


@contextmanager
def _evaluation_mode(module: nn.Module, seed: int) -> Iterator[None]:
    """Evaluation mode without gradients, with separately seeded generators; afterwards all is restored."""
    modes = {part: part.training for part in module.modules()}
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with seeded(seed), torch.random.fork_rng(devices), torch.no_grad():  # `seeded` covers only the CPU
        module.eval()
        try:
            yield
        finally:
            for part, mode in modes.items():
                part.training = mode
