"""A data set as loaders: seeded draws, views, batches as dicts, what changes from stage to stage."""

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
from rnc_lightning.system.errors import UserError

Loader = DataLoader[dict[str, Tensor]]


class RegressionDataModule(DataSource, LightningDataModule):
    """Three splits as loaders of dict batches: `x` (B, V, ...) or (B, ...), `y` (B, D) float32, `index` (B,).

    A data set subclasses it in one file and says how its splits are read (`DataSource.read`).

    Args:
        train_transform: Augmentation, raw input to tensor.
        eval_transform: The same without randomness.
        local_transform: Augmentation to a smaller crop, for stages with local views; None: the data have none.
        batch_size: Samples a batch, over all devices.
        eval_batch_size: Samples a batch in validation and test.
        num_workers: Processes that prepare batches; 0 prepares them in the main process.
        pin_memory: Whether batches are put in page-locked memory; null: where there is a GPU.
        colour_on_device: Whether batches of images come as bytes, and their colours are changed where the model is;
            null: where that is a GPU.
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
        _positive("eval_batch_size", eval_batch_size)
        if num_workers < 0:
            raise ValueError(f"num_workers must be 0 or more, got {num_workers}")
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
        """Set what changes from stage to stage.

        Args:
            seed: Seed of the order and of the augmentations.
            batch_size: Samples a training batch.
            views: Views a training sample, None for one without a view axis.
            local_views: Small crops of a training sample beside them, as `x_local` (B, L, ...).
            drop_last: Whether an incomplete last training batch is left out.
            augment: Whether training samples are augmented; else they look as in evaluation.
        """
        _positive("batch_size", batch_size)
        if views is not None:
            _positive("views", views)
        self.check_local_views(local_views)
        self.seed, self.batch_size, self.views, self.drop_last = seed, batch_size, views, drop_last
        self.local_views = local_views
        self.augment = augment
        self._features: dict[SplitName, Tensor] = {}
        return self

    def check_local_views(self, count: int) -> None:
        """Refuse local views of data that have no transform for them.

        Raises:
            UserError: With a remedy.
        """
        if count and self.local_transform is None:
            raise UserError(
                f"recipe.pretrain.local_views: {count}, but {self.title} has no data.local_transform to cut them with; "
                "set it, or recipe.dino.local_views=0"
            )

    def use_features(self, name: SplitName, features: Tensor) -> None:
        """Give features (N, F) in the place of a split's inputs, until the next stage.

        Batches are then `features` (B, F), `y` and `index`, in the same order as before.
        """
        self._features[name] = features

    def setup(self, stage: str | None = None) -> None:
        """Read the splits once; Lightning calls it."""
        self.read_once()

    def describe_input(self) -> Description | None:
        """How a raw input becomes what the encoder takes; None where neither the data set nor its transform says it.

        A data set adds to its transform's description what `read` has done before.
        """
        return description_of(self.eval_transform)

    def train_dataloader(self) -> Loader:
        """Augmented, shuffled anew each epoch; over several processes each one's share of every batch.

        Raises:
            UserError: Where a batch cannot be divided evenly.
            ValueError: Where no batch would remain.
        """
        split, processes = self.splits["train"], distributed.world_size()
        if self.drop_last and len(split) < self.batch_size:
            raise ValueError(
                f"batch_size: {self.batch_size} is more than the {len(split)} training samples, "
                "and an incomplete batch is left out: no batch would remain"
            )
        if rest := self.batch_size % processes:
            near = [n for n in (self.batch_size - rest, self.batch_size - rest + processes) if n]
            raise UserError(
                f"batch_size: {self.batch_size} samples, over all processes, cannot be divided among {processes}: "
                f"take {' or '.join(map(str, near))}, or another trainer.devices"
            )
        return self.training_loader(self.seed)

    def training_loader(self, seed: int) -> Loader:
        """Batches of this epoch as training has them, in an order and with augmentations of another seed."""
        split = self.splits["train"]
        # The epoch now: on resuming Lightning tells it only after the workers have begun to fetch.
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
        """In the order of the split, without augmentation; over several processes each one's share, none twice."""
        split = self.splits["val"]
        if (features := self._features.get("val")) is not None:
            return features_loader(features, split.targets, self._in_order(len(features), distributed.share()))
        return self.loader_over(split, share=distributed.share())

    def test_dataloader(self) -> Loader:
        """In the order of the split, without augmentation; all of it, since one process alone tests."""
        return self.plain_loader("test")

    def plain_loader(self, name: SplitName) -> Loader:
        """`loader_over` a split of the data set, all of it in every process."""
        return self.loader_over(self.splits[name])

    def loader_over(self, split: Split, transform: Transform | None = None, share: tuple[int, int] = (0, 1)) -> Loader:
        """The inputs of any split in its order, without augmentation, as `splits` themselves are loaded.

        Whoever takes batches from it without a Trainer gives them to `on_after_batch_transfer` himself.

        Args:
            split: One of the data set's, or any other.
            transform: Raw input to tensor; None: `eval_transform`.
            share: (rank, processes): which part of each batch.
        """
        dataset = ViewsDataset(split, transform or self.eval_transform, on_device=self._on_device())
        return self._loader(dataset, self._in_order(len(split), share))

    def with_test(self, split: Split, transform: Transform | None = None) -> Self:
        """The same data with another test split, for a Trainer that tests; these here stay as they are.

        Args:
            split: What is tested on.
            transform: Raw input to tensor, in the place of `eval_transform`; None: that one.
        """
        other = copy.copy(self)
        other.splits = {**self.splits, "test": split}
        other.eval_transform = transform or self.eval_transform
        return other

    def _in_order(self, size: int, share: tuple[int, int] = (0, 1)) -> SeededBatches:
        return SeededBatches(size, self.eval_batch_size, share=share)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int = 0) -> dict[str, Tensor]:
        """Finish on its device what the loader left to it; Lightning calls it."""
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
            generator=torch.Generator(),  # else it draws from the network's, at other moments after a resume
        )


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 up, got {value}")
