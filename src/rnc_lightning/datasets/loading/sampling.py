"""The order of the samples in an epoch, and the seed of each sample's augmentation."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from torch.utils.data import Sampler

from rnc_lightning.numerics.seeding import derive_seed


class Draw(NamedTuple):
    """One sample of an epoch: its index in the split and the seed of its random transforms (None: not random)."""

    sample: int
    seed: int | None = None


class SeededBatches(Sampler[list[Draw]]):
    """The batches of a `SeededSampler`, or one process' share of each.

    The batches do not depend on the number of processes W: each process takes every W-th sample of each batch. The
    last batch may then be uneven. In training it is dropped if it has fewer samples than there are processes, because
    a process without a sample could not take part.

    Args:
        sampler: Gives the order of each epoch, the same in all processes; a number of samples means in order.
        batch_size: Samples per batch, over all processes.
        drop_last: Whether an incomplete last batch is dropped.
        share: (rank, processes).
        join_single: Whether a last batch of which a process would get a single sample joins the batch before.
    """

    def __init__(
        self,
        sampler: "SeededSampler | int",
        batch_size: int,
        drop_last: bool = False,
        share: tuple[int, int] = (0, 1),
        join_single: bool = False,
    ) -> None:
        self.sampler = sampler if isinstance(sampler, SeededSampler) else range(sampler)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.rank, self.processes = share
        size = len(self.sampler)
        self.joined = join_single and size > batch_size and single_in_last_batch(size, batch_size, self.processes)

    def set_epoch(self, epoch: int) -> None:
        """Set the next epoch; Lightning calls it."""
        if isinstance(self.sampler, SeededSampler):
            self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        needed = self.processes if isinstance(self.sampler, SeededSampler) else self.rank + 1
        return full + (rest >= needed and not self.drop_last and not self.joined)

    def __iter__(self) -> Iterator[list[Draw]]:
        order = [draw if isinstance(draw, Draw) else Draw(draw) for draw in self.sampler]
        starts = range(0, len(self) * self.batch_size, self.batch_size)
        for start in starts:
            end = None if self.joined and start == starts[-1] else start + self.batch_size
            yield order[start:end][self.rank :: self.processes]


def single_in_last_batch(samples: int, batch_size: int, processes: int = 1) -> bool:
    """Whether a process gets a single sample of an incomplete last batch in which all take part.

    >>> [single_in_last_batch(n, 64) for n in (64, 65, 66)], [single_in_last_batch(n, 64, 2) for n in (65, 66, 67, 68)]
    ([False, True, False], [False, True, True, False])
    """
    return (samples % batch_size) // processes == 1


class SeededSampler(Sampler[Draw]):
    """A new permutation each epoch and a seed per sample, both determined by (seed, epoch).

    An augmentation therefore depends neither on the worker that computes it nor on earlier draws: a resumed run
    repeats the epoch exactly, with any number of workers.

    Args:
        size: Samples in the split.
        seed: Seed of this stage.
        epoch: The first epoch.
    """

    def __init__(self, size: int, seed: int, epoch: int = 0) -> None:
        self.size = size
        self.seed = seed
        self.epoch = epoch

    def set_epoch(self, epoch: int) -> None:
        """Set the next epoch; Lightning calls it."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.size

    def __iter__(self) -> Iterator[Draw]:
        generator = np.random.default_rng(derive_seed(self.seed, "order", self.epoch))
        order = generator.permutation(self.size)
        # Indexed by sample, so that a seed does not depend on the position in the order.
        seeds = generator.integers(0, 2**63 - 1, size=self.size, dtype=np.int64)
        for index in order.tolist():
            yield Draw(index, int(seeds[index]))
