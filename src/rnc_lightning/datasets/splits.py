"""One part of a data set: inputs read on demand, targets in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from rnc_lightning.targets.groups import Groups, group_means

SplitName = Literal["train", "val", "test"]
PARTS: tuple[SplitName, ...] = ("train", "val", "test")


class Inputs(Protocol):
    """Anything with a length that returns an input for an index: a list, a tensor, a lazy reader."""

    def __len__(self) -> int:
        """Number of inputs."""

    def __getitem__(self, index: int, /) -> Any:
        """One input."""


@dataclass(frozen=True)
class Split:
    """Samples of one part (train, val or test).

    Attributes:
        inputs: N inputs, read by index: an image, an array, a signal.
        targets: (N, D) float32 or float64 in label units. Users' own tables keep float64, in which large labels such as
            dates differ.
        names: N names that the user recognises (a path, a source image), for predictions.csv.
        groups: Samples whose predictions are averaged in validation and test; None if there are no groups.
        partial: Whether a sample may lack some of its labels, which are NaN then, but not all.
    """

    inputs: Inputs
    targets: Tensor
    names: Sequence[str]
    groups: Groups | None = None
    partial: bool = False

    def __post_init__(self) -> None:
        if self.targets.ndim != 2:
            raise ValueError(f"targets must be (N, D), got {tuple(self.targets.shape)}")
        if self.groups is not None and len(self.groups.index) != len(self.targets):
            raise ValueError(f"{len(self.targets)} targets and {len(self.groups.index)} group indices do not match")
        if not len(self.inputs) == len(self.targets) == len(self.names):
            raise ValueError(
                f"{len(self.inputs)} inputs, {len(self.targets)} targets and {len(self.names)} names do not match"
            )
        finite = torch.isfinite(self.targets)
        usable = finite.any(dim=1) & ~self.targets.isinf().any(dim=1) if self.partial else finite.all(dim=1)
        if not usable.all():
            bad = (~usable).nonzero().flatten().tolist()
            shown = ", ".join(self.names[i] for i in bad[:5])
            raise ValueError(f"targets: {len(bad)} are NaN or infinite, the first ones: {shown}")

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def labels(self) -> Tensor:
        """Targets of the samples (N, D), or of the groups (G, D) if there are groups."""
        return self.targets if self.groups is None else group_means(self.targets, self.groups)


class ChosenInputs:
    """Some of a reader's inputs, still read on demand.

    Args:
        inputs: The reader.
        indices: Which of its inputs, in this order.
    """

    def __init__(self, inputs: Inputs, indices: Sequence[int]) -> None:
        self.inputs = inputs
        self.indices = list(indices)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.inputs[self.indices[index]]


def subset_of(split: Split, chosen: Tensor) -> Split:
    """The samples of a split with these indices (M,), in this order, without groups that have become empty.

    >>> split = Split(torch.arange(3), torch.tensor([[1.0], [2.0], [3.0]]), ["a", "b", "c"])
    >>> subset_of(split, torch.tensor([0, 2])).names
    ['a', 'c']
    """
    indices = chosen.tolist()
    inputs = split.inputs
    if isinstance(inputs, Tensor):
        inputs = inputs[chosen]
    elif hasattr(inputs, "take"):
        inputs = inputs.take(indices)
    else:
        inputs = ChosenInputs(inputs, indices)
    groups = None
    if split.groups is not None:
        left, index = torch.unique(split.groups.index[chosen], return_inverse=True)
        groups = Groups(index, [split.groups.names[i] for i in left.tolist()])
    names = [split.names[i] for i in indices]
    return replace(split, inputs=inputs, targets=split.targets[chosen], names=names, groups=groups)
