"""Features instead of inputs: batches for a head on a frozen encoder, taken from one tensor."""

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rnc_lightning.datasets.loading.sampling import Draw, SeededBatches


class FeaturesDataset(Dataset[dict[str, Tensor]]):
    """Batches `features` (B, F), `y` (B, D) and `index` (B,), indexed by a list of draws, so that each is one lookup.

    Args:
        features: (N, F), in the order of the split.
        targets: (N, D).
    """

    def __init__(self, features: Tensor, targets: Tensor) -> None:
        self.features = features
        self.targets = targets

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, draws: list[Draw]) -> dict[str, Tensor]:
        index = torch.tensor([draw.sample for draw in draws], dtype=torch.int64)
        return {"features": self.features[index], "y": self.targets[index], "index": index}


def features_loader(features: Tensor, targets: Tensor, batches: SeededBatches) -> DataLoader[dict[str, Tensor]]:
    """A loader of feature batches, without worker processes: there is nothing to prepare."""
    own = torch.Generator()  # otherwise it draws from the global one, at other moments after a resume
    return DataLoader(FeaturesDataset(features, targets), sampler=batches, batch_size=None, generator=own)  # type: ignore[arg-type]
