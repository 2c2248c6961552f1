"""A subset of the training samples: fewer of them, or without target ranges that only the test then contains."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from rnc_lightning.datasets.splits import Split, SplitName, subset_of
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text
from rnc_lightning.targets.ranges import TargetRange, in_any_range

_REDUCED: tuple[SplitName, ...] = ("train", "val")


@dataclass(frozen=True)
class TrainingSubset:
    """Which samples are used for training; the test set stays complete.

    Attributes:
        size: Number of training samples to draw (for recordings: of groups); None takes all. The draw depends only on
            the seed and the names, not on the order of reading, and a larger draw contains the smaller ones.
        seed: Seed of the draw.
        unseen: Target ranges to remove from training and validation, ends included: a name of your choice for each
            {low, high, dimension}.

    Raises:
        ValueError: For a size below 1 or an invalid range.
    """

    size: int | None = None
    seed: int = 0
    unseen: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size is not None:
            check_whole_number("size", self.size, 1)
        ranges = {name: _as_range(name, value) for name, value in self.unseen.items() if value}
        object.__setattr__(self, "unseen", ranges)

    @property
    def takes_all(self) -> bool:
        """Whether every sample is used."""
        return self.size is None and not self.unseen

    def is_unseen(self, targets: Tensor) -> Tensor:
        """Which of the targets (N, D) training never saw because of `unseen`, (N,) bool."""
        return in_any_range(targets, self.unseen.values())

    def apply(self, splits: Mapping[SplitName, Split]) -> dict[SplitName, Split]:
        """The splits, with training and validation reduced.

        Raises:
            UserError: If `size` is larger than the training set, or a split would be empty.
        """
        reduced = dict(splits)
        for part in _REDUCED if self.unseen else ():
            split = splits[part]
            targets = split.targets if split.groups is None else split.labels[split.groups.index]
            seen = (~self.is_unseen(targets)).nonzero().flatten()
            if not len(seen):
                raise UserError(f"data.subset.unseen: no sample of {part} is left")
            reduced[part] = subset_of(split, seen)
        if self.size is not None:
            reduced["train"] = subset_of(reduced["train"], self._draw(reduced["train"], self.size))
        return reduced

    def _draw(self, split: Split, size: int) -> Tensor:
        names = split.names if split.groups is None else split.groups.names
        unit_of = list(range(len(split))) if split.groups is None else split.groups.index.tolist()
        units = sorted(set(unit_of))
        if size > len(units):
            raise UserError(f"data.subset.size={size} is more than the {len(units)} training samples there are")
        keys = _sort_keys(names, self.seed)
        chosen = set(sorted(units, key=keys.__getitem__)[:size])
        return torch.tensor([i for i, unit in enumerate(unit_of) if unit in chosen])


def write_subset(path: Path, before: Mapping[SplitName, Split], after: Mapping[SplitName, Split]) -> None:
    """Write a CSV of the samples left in training and validation, with their positions in the complete split.

    Args:
        path: The file.
        before: The complete splits.
        after: The reduced splits, in the same order.
    """
    rows = []
    for part in _REDUCED:
        positions: dict[str, list[int]] = {}
        for i, name in enumerate(before[part].names):
            positions.setdefault(name, []).append(i)
        rows += [(part, positions[name].pop(0), name) for name in after[part].names]
    write_text(path, pd.DataFrame(rows, columns=["split", "index", "name"]).to_csv(index=False))


def _sort_keys(names: Sequence[str], seed: int) -> list[str]:
    """A pseudo-random key for each name, from the seed, the name and how many equal names came before."""
    times: Counter[str] = Counter()
    keys = []
    for name in names:
        keys.append(hashlib.sha256(f"{seed}/{times[name]}/{name}".encode()).hexdigest())
        times[name] += 1
    return keys


def _as_range(name: str, value: Any) -> TargetRange:
    if isinstance(value, TargetRange):
        return value
    try:
        return TargetRange(**value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"unseen.{name}: {error}; write {{low, high}} or {{low, high, dimension}}") from None
