"""Random splits, for data without a published one: drawn with a recorded seed, written to a file, read from one."""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from rnc_lightning.datasets.reading.tables import read_table
from rnc_lightning.datasets.splits import PARTS, SplitName
from rnc_lightning.numerics.seeding import derive_seed
from rnc_lightning.system.errors import UserError
from rnc_lightning.system.files import write_text


@dataclass(frozen=True)
class Division:
    """How samples are divided into training, validation and test.

    Attributes:
        by: `sample`, or a grouping such as `camera`: all samples of a group then go to the same part.
        val: Fraction of the samples for validation.
        test: Fraction of the samples for the test.
        seed: Seed of the draw. The draw depends only on it and on the names of the samples (or groups).
        file: The `split.csv` of an earlier run, used instead of a new draw.
    """

    by: str = "sample"
    val: float = 0.1
    test: float = 0.1
    seed: int = 0
    file: str | None = None

    def __post_init__(self) -> None:
        if not (self.val > 0 and self.test > 0 and self.val + self.test < 1):
            raise ValueError(
                f"split: val and test must be positive and sum to less than 1, got {self.val} and {self.test}"
            )

    def divide(
        self, names: Sequence[str], groupings: Mapping[str, Sequence[Hashable]] | None = None
    ) -> list[SplitName]:
        """The part of each sample.

        Args:
            names: The samples' names, all different.
            groupings: For each possible value of `by` except `sample`, the group of each sample.

        Raises:
            ValueError: If `by` is neither `sample` nor one of the groupings.
            UserError: If there are too few groups, or the file does not match the samples.
        """
        groupings = groupings or {}
        if self.by != "sample" and self.by not in groupings:
            raise ValueError(f"split.by must be {' or '.join(['sample', *groupings])}, got {self.by!r}")
        if self.file is not None:
            return read_division(Path(self.file), names)
        return _draw(names if self.by == "sample" else groupings[self.by], self)


def write_division(path: Path, parts: Mapping[SplitName, Sequence[str]]) -> None:
    """Write the names of each part as `split.csv`, which `data.split.file` reads."""
    rows = [(name, part) for part, names in parts.items() for name in names]
    write_text(path, pd.DataFrame(rows, columns=["name", "split"]).to_csv(index=False))


def read_division(path: Path, names: Sequence[str]) -> list[SplitName]:
    """The part of each sample, from a file written by `write_division`. Other names in the file are ignored.

    Raises:
        UserError: If the file is missing, has a split other than train, val, test, or lacks samples.
    """
    table = read_table(path, ["name", "split"])
    parts: dict[str, str] = {}
    for i, (name, part) in enumerate(zip(table.texts("name"), table.texts("split"), strict=True)):
        if part not in PARTS:
            raise UserError(f"{path} has a split other than {', '.join(PARTS)}: {part!r}, {table.where(i)}")
        if parts.setdefault(name, part) != part:
            raise UserError(f"{path} assigns {name} to {parts[name]} and, in {table.where(i)}, to {part}")
    if missing := [name for name in names if name not in parts]:
        raise UserError(
            f"{path} does not contain {len(missing)} of the {len(names)} samples, for example {missing[0]}: "
            "it belongs to other data"
        )
    return [cast(SplitName, parts[name]) for name in names]


def _draw(groups: Sequence[Hashable], division: Division) -> list[SplitName]:
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda group: (str(type(group)), str(group)))  # independent of the order on disk
    if len(order) < len(PARTS):
        raise UserError(f"split.by={division.by}: {len(order)} of them cannot be divided into {', '.join(PARTS)}")
    generator = np.random.default_rng(derive_seed(division.seed, "division", division.by))
    remaining = [order[i] for i in generator.permutation(len(order))]
    part_of: dict[Hashable, SplitName] = {}
    fractions: tuple[tuple[SplitName, float], ...] = (("test", division.test), ("val", division.val))
    for parts_after, (part, fraction) in zip((2, 1), fractions, strict=True):
        wanted, size = fraction * len(groups), 0
        taken: list[Hashable] = []
        for group in remaining:
            fits = size + sizes[group] / 2 <= wanted  # ends as close to the fraction as possible
            if fits and len(remaining) - len(taken) > parts_after:  # leave at least one group for each later part
                taken.append(group)
                size += sizes[group]
        taken = taken or [min(remaining, key=sizes.__getitem__)]
        part_of.update(dict.fromkeys(taken, part))
        remaining = [group for group in remaining if group not in part_of]
    return [part_of.get(group, "train") for group in groups]
