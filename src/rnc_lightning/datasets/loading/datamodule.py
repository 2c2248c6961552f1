"""The base data module: loaders with seeded order and augmentation, and the settings of each stage."""

import copy
from typing import Any, Self

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from rnc_lightning.datasets.images.colour_on_device import finish_on_device
from rnc_lightning.datasets.loading.batch_transport import collate_into_file, is_short_of_shared_memory
from rnc_lightning.datasets.loading.features import features_loader
from rnc_lightning.datasets.loading.sampling import Draw, SeededBatches, SeededSampler
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.reading.data_source import DataSource
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.transform import Description, Transform, description_of
from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.system.errors import UserError

Loader = DataLoader[dict[str, Tensor]]


class RegressionDataModule(DataSource, LightningDataModule):
    """Three splits as loaders of dict batches: `x` (B, V, ...) or (B, ...), `y` (B, D), `index` (B,).

    `y` has the type of the splits' targets, float32 or float64.

    A data set is a subclass in one file that implements `read` (see `DataSource`).

    Args:
        train_transform: Augmentation, raw input to tensor.
        eval_transform: The same without randomness.
        local_transform: Augmentation to a smaller crop, for stages with local views; None: the data have none.
        batch_size: Samples per training batch, over all devices.
        eval_batch_size: Samples per batch in validation and test.
        num_workers: Processes that prepare batches; 0 prepares them in the main process.
        pin_memory: Whether batches are put in page-locked memory; null: if there is a GPU.
        colour_on_device: Whether images are sent as bytes and their colours changed on the model's device; null: if
            that is a GPU.
        **reading: Arguments of `DataSource`.

    Raises:
        ValueError: For a batch size below 1, or a negative number of workers.
    """

    def __init__(
        self,
        *,
        train_transform: Transform,
        eval_transform: Transform,
        local_transform: Transform | None = None,
        batch_size: int,
        eval_batch_size: int = 256,
        num_workers: int = 0,
        pin_memory: bool | None = None,
        colour_on_device: bool | None = None,
        **reading: Any,
    ) -> None:
        LightningDataModule.__init__(self)
        DataSource.__init__(self, **reading)
        check_whole_number("eval_batch_size", eval_batch_size, 1)
        check_whole_number("num_workers", num_workers, 0)
        self.train_transform = train_transform
        self.eval_transform = eval_transform
        self.local_transform = local_transform
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.colour_on_device = colour_on_device
        self.for_stage(seed=0, batch_size=batch_size)

    def for_stage(
        self,
        *,
        seed: int,
        batch_size: int,
        views: int | None = None,
        local_views: int = 0,
        drop_last: bool = False,
        augment: bool = True,
    ) -> "RegressionDataModule":
        """Apply the settings of a stage.

        Args:
            seed: Seed of the order and of the augmentations.
            batch_size: Samples per training batch.
            views: Views of each training sample; None for one view without a view axis.
            local_views: Additional small crops of each training sample, as `x_local` (B, L, ...).
            drop_last: Whether an incomplete last training batch is dropped.
            augment: Whether training samples are augmented; if not, they are transformed as in evaluation.
        """
        check_whole_number("batch_size", batch_size, 1)
        if views is not None:
            check_whole_number("views", views, 1)
        self.check_local_views(local_views)
        self.seed, self.batch_size, self.views, self.drop_last = seed, batch_size, views, drop_last
        self.local_views = local_views
        self.augment = augment
        self._features: dict[SplitName, Tensor] = {}
        return self

    def check_local_views(self, count: int) -> None:
        """Refuse local views if the data have no transform for them.

        Raises:
            UserError: Says how to fix it.
        """
        if count and self.local_transform is None:
            raise UserError(
                f"recipe.pretrain.local_views is {count}, but {self.title} has no data.local_transform: set one, or "
                "set recipe.dino.local_views=0"
            )

    def use_features(self, name: SplitName, features: Tensor) -> None:
        """Use features (N, F) instead of a split's inputs, until the next stage.

        Batches are then `features` (B, F), `y` and `index`, in the same order.
        """
        self._features[name] = features

    def setup(self, stage: str | None = None) -> None:
        """Read the splits once; Lightning calls it."""
        self.read_once()

    def describe_input(self) -> Description | None:
        """How a raw input becomes the encoder's input; None if the transform does not describe itself.

        A data set adds what `read` has done to its transform's description.
        """
        return description_of(self.eval_transform)

    def train_dataloader(self) -> Loader:
        """Augmented, in a new order each epoch; with several processes, this one's share of every batch.

        Raises:
            UserError: If a batch cannot be divided evenly.
            ValueError: If no batch would remain.
        """
        split, processes = self.splits["train"], distributed.world_size()
        if self.drop_last and len(split) < self.batch_size:
            raise ValueError(
                f"batch_size: {self.batch_size} is more than the {len(split)} training samples, "
                "and incomplete batches are dropped: no batch would remain"
            )
        if rest := self.batch_size % processes:
            divisible = [n for n in (self.batch_size - rest, self.batch_size - rest + processes) if n]
            raise UserError(
                f"batch_size: {self.batch_size} samples cannot be divided evenly among {processes} processes: "
                f"use {' or '.join(map(str, divisible))}, or change trainer.devices"
            )
        return self.training_loader(self.seed)

    def training_loader(self, seed: int) -> Loader:
        """Training batches of the current epoch, with order and augmentations from the given seed."""
        split = self.splits["train"]
        # Set here because on resuming Lightning sets the epoch only after the workers have begun to fetch.
        epoch = self.trainer.fit_loop.epoch_progress.current.processed if self.trainer else 0  # type: ignore[attr-defined]
        sampler = SeededSampler(len(split), seed, epoch)
        batches = SeededBatches(sampler, self.batch_size, self.drop_last, distributed.share())
        if (features := self._features.get("train")) is not None:
            return features_loader(features, split.targets, batches)
        transform = self.train_transform if self.augment else self.eval_transform
        crop = self.local_transform
        local = (crop, self.local_views) if crop is not None and self.local_views else None
        return self._loader(ViewsDataset(split, transform, self.views, self._on_device(), local), batches)

    def val_dataloader(self) -> Loader:
        """In the order of the split, without augmentation; with several processes, this one's share."""
        split = self.splits["val"]
        if (features := self._features.get("val")) is not None:
            return features_loader(features, split.targets, self._in_order(len(features), distributed.share()))
        return self.loader_over(split, share=distributed.share())

    def test_dataloader(self) -> Loader:
        """In the order of the split, without augmentation; complete in every process, since only one runs the test."""
        return self.plain_loader("test")

    def plain_loader(self, name: SplitName) -> Loader:
        """`loader_over` for one of the data set's splits, complete in every process."""
        return self.loader_over(self.splits[name])

    def loader_over(self, split: Split, transform: Transform | None = None, share: tuple[int, int] = (0, 1)) -> Loader:
        """A loader over any split, in order and without augmentation.

        Without a Trainer, pass each batch through `on_after_batch_transfer` yourself.

        Args:
            split: One of the data set's splits, or any other.
            transform: Raw input to tensor; None: `eval_transform`.
            share: (rank, processes): which part of each batch to load.
        """
        dataset = ViewsDataset(split, transform or self.eval_transform, on_device=self._on_device())
        return self._loader(dataset, self._in_order(len(split), share))

    def with_test(self, split: Split, transform: Transform | None = None) -> Self:
        """A copy of this data module with another test split.

        Args:
            split: The new test split.
            transform: Raw input to tensor, replaces `eval_transform`; None keeps it.
        """
        other = copy.copy(self)
        other.splits = {**self.splits, "test": split}
        other.eval_transform = transform or self.eval_transform
        return other

    def _in_order(self, size: int, share: tuple[int, int] = (0, 1)) -> SeededBatches:
        return SeededBatches(size, self.eval_batch_size, share=share)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Apply the colour changes that were left to the device; Lightning calls it."""
        return finish_on_device(batch)

    def _on_device(self) -> bool:
        if self.colour_on_device is not None:
            return self.colour_on_device
        return self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"

    def _loader(self, dataset: ViewsDataset, batches: SeededBatches) -> Loader:
        share = -(-batches.batch_size // batches.processes)
        short = self.num_workers > 0 and is_short_of_shared_memory(lambda: dataset[Draw(0, 0)], share, self.num_workers)
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            collate_fn=collate_into_file if short else None,
            pin_memory=self.pin_memory,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_one_thread if self.num_workers else None,
            generator=torch.Generator(),  # otherwise it draws from the global one, at other moments after a resume
        )


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)
