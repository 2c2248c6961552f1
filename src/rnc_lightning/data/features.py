"""Features in the place of inputs: batches for a head on a frozen encoder, cut from one tensor."""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from rnc_lightning.data.sampling import SeededSampler


class SeededBatches(Sampler[list[int]]):
    """The batches that a `SeededSampler` makes, as lists of indices, so that a batch is cut in one step.

    Args:
        sampler: Gives the order of each epoch.
        batch_size: Samples a batch.
        drop_last: Whether an incomplete last batch is left out.
    """

    def __init__(self, sampler: SeededSampler, batch_size: int, drop_last: bool = False) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes next; Lightning calls it."""
        self.sampler.set_epoch(epoch)

    def __len__(self) -> int:
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (1 if rest and not self.drop_last else 0)

    def __iter__(self) -> Iterator[list[int]]:
        order = [draw.sample for draw in self.sampler]
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            yield order[start : start + self.batch_size]


class FeaturesDataset(Dataset[dict[str, Tensor]]):
    """Whole batches `features` (B, F), `y` (B, D) and `index` (B,), by lists of indices.

    Args:
        features: (N, F), in the order of the split.
        targets: (N, D).
    """

    def __init__(self, features: Tensor, targets: Tensor) -> None:
        self.features = features
        self.targets = targets

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, indices: list[int]) -> dict[str, Tensor]:
        index = torch.tensor(indices)
        return {"features": self.features[index], "y": self.targets[index], "index": index}


def features_loader(features: Tensor, targets: Tensor, batches: SeededBatches) -> DataLoader[dict[str, Tensor]]:
    """A loader of feature batches, in this process: there is nothing left to prepare."""
    return DataLoader(FeaturesDataset(features, targets), sampler=batches, batch_size=None)  # type: ignore[arg-type]
