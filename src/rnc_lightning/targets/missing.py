"""Labels that are missing (NaN) in some dimensions of a target."""

from torch import Tensor


def has_all_labels(labels: Tensor) -> Tensor:
    """Which samples have a label in every dimension, (N,) bool of labels (N, D).

    >>> import torch
    >>> has_all_labels(torch.tensor([[1.0, 2.0], [3.0, torch.nan]])).tolist()
    [True, False]
    """
    return ~labels.isnan().any(dim=1)
