"""What all data sets share: three splits, loaders with seeded draws, batches as dicts."""

from abc import abstractmethod

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from rnc_lightning.data.features import SeededBatches, features_loader
from rnc_lightning.data.sampling import SeededSampler
from rnc_lightning.data.splits import Split, SplitName, fingerprint
from rnc_lightning.data.views import Transform, ViewsDataset

Loader = DataLoader[dict[str, Tensor]]


class RegressionDataModule(LightningDataModule):
    """Three splits as loaders of dict batches: `x` (B, V, ...) or (B, ...), `y` (B, D) float32, `index` (B,).

    A data set subclasses it in one file and says how its splits are read.

    Args:
        train_transform: Augmentation, raw input to tensor.
        eval_transform: The same without randomness.
        batch_size: Samples a batch, over all devices.
        eval_batch_size: Samples a batch in validation and test.
        num_workers: Processes that prepare batches; 0 prepares them in the main process.
        pin_memory: Whether batches are put in page-locked memory; null: where there is a GPU.

    Raises:
        ValueError: For a batch size below 1 or a negative number of workers.
    """

    def __init__(
        self,
        *,
        train_transform: Transform,
        eval_transform: Transform,
        batch_size: int,
        eval_batch_size: int = 256,
        num_workers: int = 0,
        pin_memory: bool | None = None,
    ) -> None:
        super().__init__()
        _positive("eval_batch_size", eval_batch_size)
        if num_workers < 0:
            raise ValueError(f"num_workers must be 0 or more, got {num_workers}")
        self.train_transform = train_transform
        self.eval_transform = eval_transform
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.splits: dict[SplitName, Split] = {}
        self.for_stage(seed=0, batch_size=batch_size)

    @abstractmethod
    def read(self) -> dict[SplitName, Split]:
        """Read the three splits; raise UserError with a remedy where files are missing or bad."""

    def content_digest(self) -> bytes:
        """What identifies the inputs beside names and targets, for the fingerprint."""
        return b""

    def for_stage(
        self,
        *,
        seed: int,
        batch_size: int,
        views: int | None = None,
        drop_last: bool = False,
        augment: bool = True,
    ) -> "RegressionDataModule":
        """Set what changes from stage to stage.

        Args:
            seed: Seed of the order and of the augmentations.
            batch_size: Samples a training batch.
            views: Views a training sample, None for one without a view axis.
            drop_last: Whether an incomplete last training batch is left out.
            augment: Whether training samples are augmented; else they look as in evaluation.
        """
        _positive("batch_size", batch_size)
        if views is not None:
            _positive("views", views)
        self.seed, self.batch_size, self.views, self.drop_last = seed, batch_size, views, drop_last
        self.augment = augment
        self._features: dict[SplitName, Tensor] = {}
        return self

    def use_features(self, name: SplitName, features: Tensor) -> None:
        """Give features (N, F) in the place of a split's inputs, until the next stage.

        Batches are then `features` (B, F), `y` and `index`, in the same order as before.
        """
        self._features[name] = features

    def setup(self, stage: str | None = None) -> None:
        """Read the splits once."""
        if not self.splits:
            self.splits = self.read()

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each split."""
        return {name: len(split) for name, split in self.splits.items()}

    @property
    def fingerprint(self) -> str:
        """Hash of all names, targets and inputs, to tell whether two runs saw the same data."""
        return fingerprint(self.splits, self.content_digest())

    def train_dataloader(self) -> Loader:
        """Augmented, shuffled anew each epoch."""
        split = self.splits["train"]
        if self.drop_last and len(split) < self.batch_size:
            raise ValueError(
                f"batch_size: {self.batch_size} is more than the {len(split)} training samples, "
                "and an incomplete batch is left out: no batch would remain"
            )
        sampler = SeededSampler(len(split), self.seed)
        if (features := self._features.get("train")) is not None:
            return features_loader(features, split.targets, SeededBatches(sampler, self.batch_size, self.drop_last))
        transform = self.train_transform if self.augment else self.eval_transform
        dataset = ViewsDataset(split, transform, self.views)
        return self._loader(dataset, self.batch_size, sampler=sampler, drop_last=self.drop_last)

    def val_dataloader(self) -> Loader:
        """In the order of the split, without augmentation."""
        if (features := self._features.get("val")) is not None:
            sampler = SeededSampler(len(features), self.seed, shuffle=False)
            return features_loader(features, self.splits["val"].targets, SeededBatches(sampler, self.eval_batch_size))
        return self.plain_loader("val")

    def test_dataloader(self) -> Loader:
        """In the order of the split, without augmentation."""
        return self.plain_loader("test")

    def plain_loader(self, name: SplitName) -> Loader:
        """The inputs of any split in its order, without augmentation."""
        return self._loader(ViewsDataset(self.splits[name], self.eval_transform), self.eval_batch_size)

    def _loader(
        self,
        dataset: ViewsDataset,
        batch_size: int,
        sampler: SeededSampler | None = None,
        drop_last: bool = False,
    ) -> Loader:
        return DataLoader(
            dataset,
            batch_size=batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_one_thread if self.num_workers else None,
        )


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 up, got {value}")
