"""A part of the training samples: fewer of them, or without ranges of the target that only the test then has."""

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
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text
from rnc_lightning.targets.ranges import TargetRange, in_any


@dataclass(frozen=True)
class TrainingSubset:
    """Which samples training gets; the test stays whole.

    Attributes:
        size: Training samples (of recordings or the like: groups) that are drawn; None takes all. The draw depends on
            the seed and on their names alone, so a larger one contains the smaller, in whatever order they are read.
        seed: Of the draw.
        unseen: By any name, {low, high, dimension} of targets that neither training nor validation see, ends included.

    Raises:
        ValueError: For a size below 1 or a range that is none.
    """

    size: int | None = None
    seed: int = 0
    unseen: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size is not None and (isinstance(self.size, bool) or not isinstance(self.size, int) or self.size < 1):
            raise ValueError(f"size must be a whole number from 1 up or null for all, got {self.size}")
        object.__setattr__(self, "unseen", {name: _range(name, given) for name, given in self.unseen.items() if given})

    @property
    def takes_all(self) -> bool:
        """Whether nothing is left out."""
        return self.size is None and not self.unseen

    def is_unseen(self, targets: Tensor) -> Tensor:
        """Which of the targets (N, D) training never saw because of `unseen`, (N,) bool."""
        return in_any(targets, self.unseen.values())

    def apply(self, splits: Mapping[SplitName, Split]) -> dict[SplitName, Split]:
        """The splits with what is left of training and validation.

        Raises:
            UserError: Where more samples are asked for than there are, or nothing would be left.
        """
        kept = dict(splits)
        if self.unseen:
            for part in ("train", "val"):
                seen = (~self.is_unseen(_of_their_groups(kept[part]))).nonzero().flatten()
                if not len(seen):
                    raise UserError(f"data.subset.unseen: no sample of {part} is left")
                kept[part] = subset_of(kept[part], seen)
        if self.size is not None:
            kept["train"] = subset_of(kept["train"], self._drawn(kept["train"], self.size))
        return kept

    def _drawn(self, split: Split, size: int) -> Tensor:
        names = split.names if split.groups is None else split.groups.names
        units = range(len(names)) if split.groups is None else sorted(set(split.groups.index.tolist()))
        if size > len(units):
            raise UserError(f"data.subset.size={size} is more than the {len(units)} training samples there are")
        chosen = set(sorted(units, key=dict(zip(range(len(names)), _lots(names, self.seed), strict=True)).get)[:size])  # type: ignore[arg-type]
        of = range(len(split)) if split.groups is None else split.groups.index.tolist()
        return torch.tensor([i for i, unit in enumerate(of) if unit in chosen])


def write_subset(path: Path, before: Mapping[SplitName, Split], kept: Mapping[SplitName, Split]) -> None:
    """Write which samples of training and validation are left, by their place in the whole part, as a CSV.

    Args:
        path: The file.
        before: The whole parts.
        kept: What is left of them, in their order.
    """
    rows = []
    for part in ("train", "val"):
        places: dict[str, list[int]] = {}
        for i, name in enumerate(before[part].names):  # type: ignore[index]
            places.setdefault(name, []).append(i)
        rows += [(part, places[name].pop(0), name) for name in kept[part].names]  # type: ignore[index]
    write_text(path, pd.DataFrame(rows, columns=["split", "index", "name"]).to_csv(index=False))


def _lots(names: Sequence[str], seed: int) -> list[str]:
    """A number for each name that looks random and depends on the seed, the name and how often it came before."""
    times: Counter[str] = Counter()
    lots = []
    for name in names:
        lots.append(hashlib.sha256(f"{seed}/{times[name]}/{name}".encode()).hexdigest())
        times[name] += 1
    return lots


def _of_their_groups(split: Split) -> Tensor:
    return split.targets if split.groups is None else split.labels[split.groups.index]


def _range(name: str, given: Any) -> TargetRange:
    if isinstance(given, TargetRange):
        return given
    try:
        return TargetRange(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"unseen.{name}: {error}; it is {{low, high}}, or {{low, high, dimension}}") from None
