"""Which samples an epoch takes, in which order, and the seed that each one's augmentation draws from."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from rnc_lightning.seeding import derive_seed


class Draw(NamedTuple):
    """One sample of an epoch: its place in the split and the seed of its random transforms."""

    sample: int
    seed: int


class SeededSampler(Sampler[Draw]):
    """A fresh permutation each epoch, and a seed a sample, both from (seed, epoch) alone.

    An augmentation therefore depends neither on the worker that computes it nor on what was drawn before:
    a resumed run repeats the epoch exactly, with any number of workers.

    Args:
        size: Samples in the split.
        seed: Seed of this stage.
        shuffle: Whether to permute; without it the order is that of the split.
    """

    def __init__(self, size: int, seed: int, shuffle: bool = True) -> None:
        self.size = size
        self.seed = seed
        self.shuffle = shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes next; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Draw]:
        generator = np.random.default_rng(derive_seed(self.seed, "order", self.epoch))
        order = generator.permutation(self.size) if self.shuffle else np.arange(self.size)
        # One seed per sample of the split, so that it does not depend on the place in the order.
        seeds = generator.integers(0, 2**63 - 1, size=self.size, dtype=np.int64)
        for index in order.tolist():
            yield Draw(index, int(seeds[index]))
