"""The official learning-rate schedule: a cosine with one step per epoch."""

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from rnc_lightning.numerics.checks import check_whole_number


def cosine_per_epoch(lr: float, epoch: int, epochs: int, decay_rate: float) -> float:
    """Learning rate of an epoch, from just below `lr` down to exactly `lr * decay_rate**3`.

    lr_e = m + (lr - m) * (1 + cos(pi * e / E)) / 2 with m = lr * decay_rate**3 and e = 1..E
    (official Rank-N-Contrast code).

    Args:
        lr: Base learning rate.
        epoch: Epoch e, counted from 1.
        epochs: Number E of epochs.
        decay_rate: Cube root of the ratio of the final learning rate to `lr`.

    >>> cosine_per_epoch(0.5, epoch=400, epochs=400, decay_rate=0.1)
    0.0005...
    """
    final = lr * decay_rate**3
    return final + (lr - final) * (1 + math.cos(math.pi * epoch / epochs)) / 2


class CosinePerEpoch(LambdaLR):
    """`cosine_per_epoch` for an optimiser, with a step at the end of each epoch.

    Args:
        optimizer: Optimiser; each of its groups has its own base learning rate.
        epochs: Number of epochs of the stage.
        decay_rate: The final learning rate is `lr * decay_rate**3`.

    Raises:
        ValueError: If `epochs` is below 1 or `decay_rate` is not in (0, 1].
    """

    def __init__(self, optimizer: Optimizer, epochs: int, decay_rate: float = 0.1) -> None:
        check_whole_number("epochs", epochs, least=1)
        if not 0 < decay_rate <= 1:
            raise ValueError(f"decay_rate must be above 0 and at most 1, got {decay_rate}")
        super().__init__(optimizer, lambda done: cosine_per_epoch(1.0, min(done + 1, epochs), epochs, decay_rate))
