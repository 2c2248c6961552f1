"""What all data sets share: three splits, loaders with seeded draws, batches as dicts."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader

from rnc_lightning.datasets.images.colour_on_device import finish_on_device
from rnc_lightning.datasets.images.source import decoded_fast, decoded_once
from rnc_lightning.datasets.loading.features import features_loader
from rnc_lightning.datasets.loading.sampling import SeededBatches, SeededSampler
from rnc_lightning.datasets.loading.views_dataset import ViewsDataset
from rnc_lightning.datasets.reading.drawn_split import Division, write_division
from rnc_lightning.datasets.reading.file_check import readable
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import OnBad, Problems
from rnc_lightning.datasets.reading.training_subset import TrainingSubset, write_subset
from rnc_lightning.datasets.splits import Split, SplitName, fingerprint
from rnc_lightning.datasets.transform import Transform
from rnc_lightning.numerics import distributed
from rnc_lightning.system.errors import UserError

log = logging.getLogger(__name__)


Loader = DataLoader[dict[str, Tensor]]


SYNTHETIC_DATA_MARKER = "SYNTHETIC_DATA.txt"  # beside data that a program made; nobody may take them for real ones


class RegressionDataModule(LightningDataModule):
    """Three splits as loaders of dict batches: `x` (B, V, ...) or (B, ...), `y` (B, D) float32, `index` (B,).

    A data set subclasses it in one file and says how its splits are read.

    Args:
        train_transform: Augmentation, raw input to tensor.
        eval_transform: The same without randomness.
        local_transform: Augmentation to a smaller crop, for stages with local views; None: the data have none.
        batch_size: Samples a batch, over all devices.
        eval_batch_size: Samples a batch in validation and test.
        num_workers: Processes that prepare batches; 0 prepares them in the main process.
        pin_memory: Whether batches are put in page-locked memory; null: where there is a GPU.
        on_bad: `error` refuses data with samples that cannot be used, all of them listed; `skip` leaves them out
            and counts them.
        check_files: Whether each file is opened once before training, so that a broken one is found then. What was
            found good is remembered in `cache_dir` by size and time.
        cache_dir: Where things are kept that take long to compute; null keeps nothing.
        cache: Whether image files are decoded once, into `cache_dir`, and read from there as bytes: the same pixels
            sooner, for 3 bytes each.
        cache_side: Shorter side to which the cache scales larger images down; null keeps every pixel.
        colour_on_device: Whether batches of images come as bytes, and their colours are changed where the model is;
            null: where that is a GPU.
        subset: Which training samples are used; None: all.

    Raises:
        ValueError: For a batch size below 1, a negative number of workers, other `on_bad`, cache without a place.
    """

    terms: ClassVar[str] = "The data are your own; state here who may use them, and what was learnt from them."
    published: ClassVar[Published | None] = None  # what the paper used, for data sets of the paper
    root: Path | None = None  # where the files are, for data sets that lie in files
    division: Division | None = None  # how the splits were drawn, where nobody published them

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
        on_bad: OnBad = "error",
        check_files: bool = True,
        cache_dir: str | None = None,
        cache: bool = False,
        cache_side: int | None = None,
        colour_on_device: bool | None = None,
        subset: TrainingSubset | None = None,
    ) -> None:
        super().__init__()
        _positive("eval_batch_size", eval_batch_size)
        if on_bad not in ("error", "skip"):
            raise ValueError(f"on_bad must be error or skip, got {on_bad!r}")
        if num_workers < 0:
            raise ValueError(f"num_workers must be 0 or more, got {num_workers}")
        self.train_transform = train_transform
        self.eval_transform = eval_transform
        self.local_transform = local_transform
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.on_bad = on_bad
        self.check_files = check_files
        if cache and cache_dir is None:
            raise ValueError("cache needs a place: cache_dir is null")
        if cache_side is not None and (isinstance(cache_side, bool) or cache_side < 1 or not cache):
            raise ValueError(f"cache_side must be a whole number from 1 up and needs cache=true, got {cache_side}")
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.cache = cache
        self.cache_side = cache_side
        self.colour_on_device = colour_on_device
        self.subset = subset or TrainingSubset()
        self.splits: dict[SplitName, Split] = {}
        self.drawn: dict[SplitName, list[str]] = {}  # names by part, before files were opened
        self.skipped: dict[str, int] = {}
        self._whole: dict[SplitName, Split] = {}  # before the subset was taken, where there is one
        self.for_stage(seed=0, batch_size=batch_size)

    @abstractmethod
    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the three splits, leaving out samples that cannot be used.

        Args:
            problems: Gets each sample that was left out, with its file and row.

        Raises:
            UserError: With a remedy, where nothing can be read at all.
        """

    def content_digest(self) -> bytes:
        """What identifies the inputs beside names and targets, for the fingerprint.

        Of files it is their sizes: reading all of them to tell whether they changed would take minutes.
        """
        inputs = [split.inputs for split in self.splits.values()]
        return b"".join(
            path.stat().st_size.to_bytes(8, "little") for files in inputs for path in getattr(files, "paths", ())
        )

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
        """Read the splits once.

        Raises:
            UserError: Where samples cannot be used and are not to be skipped, with all of them; or a split is empty.
        """
        if self.splits:
            return
        splits, problems = self.inspect()
        if self.on_bad == "error":
            problems.refuse(self.title)
        for kind, count in problems.counts.items():
            log.warning("%s: left out: %d x %s", self.title, count, kind)
        if (refusal := self.refusal_of(splits)) is not None:
            raise UserError(refusal)
        if self.cache and self.cache_dir is not None:
            self.splits = decoded_once(splits, self.cache_dir / "images", self.cache_side)
        else:
            self.splits = decoded_fast(splits)
        self.skipped = problems.counts

    def inspect(self) -> tuple[dict[SplitName, Split], Problems]:
        """Read the splits and open every file: what can be used, and what cannot.

        Raises:
            UserError: Where nothing can be read at all; problems found until then are its details.
        """
        problems = Problems()
        try:
            splits = self.read(problems)
        except UserError as error:
            if not len(problems) or error.details:
                raise
            raise UserError(
                f"{error}. Found before: {problems.samples} that cannot be used:", problems.lines
            ) from error
        self.drawn = {part: list(_group_names(split)) for part, split in splits.items()}
        if not self.subset.takes_all:
            self._whole, splits = splits, self.subset.of(splits)
        if self.check_files:
            splits = {
                part: readable(split, problems, self.cache_dir, f"files of {self.title}")
                for part, split in splits.items()
            }
        return splits, problems

    def refusal_of(self, splits: Mapping[SplitName, Split]) -> str | None:
        """Why nothing can be trained on these splits though each of their samples is sound; None where it can."""
        if empty := [name for name, split in splits.items() if not len(split)]:
            return f"{self.title}: nothing is left in {' and '.join(empty)}: check the split and the files"
        return None

    @property
    def title(self) -> str:
        """The data set's name in messages."""
        return type(self).__name__.removesuffix("DataModule")

    @property
    def target_names(self) -> Sequence[str] | None:
        """Names of the target's columns, where they are not fixed but chosen by the user."""
        return None

    @property
    def preparation(self) -> dict[str, Any] | None:
        """What of the training data goes into every input, as plain values, where anything does: means, say."""
        return None

    @property
    def synthetic(self) -> bool:
        """Whether these are data that a program made, by the marker beside them."""
        if self.root is None:
            return False
        root = self.root.resolve()
        return any((folder / SYNTHETIC_DATA_MARKER).is_file() for folder in (root, *root.parents[:4]))

    def write_division(self, path: Path) -> None:
        """Write a drawn split as `split.csv`, which `data.split.file` reads; nothing for a published one.

        Samples that turned out to be unreadable are in it too: the same draw fits the same table.
        """
        if self.division is not None:
            write_division(path, self.drawn)

    def write_subset(self, path: Path) -> None:
        """Write as `subset.csv` which samples training and validation use, where not all of them do."""
        if self._whole:
            write_subset(path, self._whole, self.splits)

    @property
    def counts(self) -> dict[str, int]:
        """Samples in each split; where samples belong together, the groups."""
        return {name: len(_group_names(split)) for name, split in self.splits.items()}

    @property
    def fingerprint(self) -> str:
        """Hash of all names, targets and inputs, to tell whether two runs saw the same data."""
        return fingerprint(self.splits, self.content_digest())

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
        return self._plain_loader(split, distributed.share())

    def test_dataloader(self) -> Loader:
        """In the order of the split, without augmentation; all of it, since one process alone tests."""
        return self.plain_loader("test")

    def plain_loader(self, name: SplitName) -> Loader:
        """The inputs of any split in its order, without augmentation, all of them in every process.

        Whoever takes batches from it without a Trainer gives them to `on_after_batch_transfer` himself.
        """
        return self._plain_loader(self.splits[name])

    def _plain_loader(self, split: Split, share: tuple[int, int] = (0, 1)) -> Loader:
        dataset = ViewsDataset(split, self.eval_transform, on_device=self._on_device())
        return self._loader(dataset, self._in_order(len(split), share))

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
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            persistent_workers=self.num_workers > 0,
            worker_init_fn=_one_thread if self.num_workers else None,
            generator=torch.Generator(),  # else it draws from the network's, at other moments after a resume
        )


def _group_names(split: Split) -> Sequence[str]:
    return split.names if split.groups is None else split.groups.names


def _one_thread(_worker: int) -> None:
    torch.set_num_threads(1)


def _positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number from 1 up, got {value}")
