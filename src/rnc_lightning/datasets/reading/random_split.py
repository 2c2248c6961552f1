"""Splits that nobody published: drawn with a recorded seed, written to a file, read from one."""

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
        by: `sample`, or what must not be torn apart, such as `camera`: a group lies in one part with all its samples.
        val: Share of the samples for validation.
        test: Share of the samples for the test.
        seed: Seed of the draw. The draw depends on it and on the samples' names (or groups) alone.
        file: A `split.csv` of an earlier run, which is used instead of a draw.
    """

    by: str = "sample"
    val: float = 0.1
    test: float = 0.1
    seed: int = 0
    file: str | None = None

    def __post_init__(self) -> None:
        if not (self.val > 0 and self.test > 0 and self.val + self.test < 1):
            raise ValueError(
                f"split: val and test must be positive and leave a share for training, got {self.val} and {self.test}"
            )

    def divide(
        self, names: Sequence[str], groupings: Mapping[str, Sequence[Hashable]] | None = None
    ) -> list[SplitName]:
        """The part of each sample.

        Args:
            names: The samples' names, each of them once.
            groupings: By name, the group of each sample; `by` chooses one of them, or `sample`.

        Raises:
            ValueError: Where `by` is no such grouping.
            UserError: Where there are too few groups, or the file does not fit.
        """
        groupings = groupings or {}
        if self.by != "sample" and self.by not in groupings:
            raise ValueError(f"split.by must be {' or '.join(['sample', *groupings])}, got {self.by!r}")
        if self.file is not None:
            return read_division(Path(self.file), names)
        return _drawn(names if self.by == "sample" else groupings[self.by], self)


def write_division(path: Path, parts: Mapping[SplitName, Sequence[str]]) -> None:
    """Write the names of each part as `split.csv`, which `data.split.file` reads."""
    rows = [(name, part) for part, names in parts.items() for name in names]
    write_text(path, pd.DataFrame(rows, columns=["name", "split"]).to_csv(index=False))


def read_division(path: Path, names: Sequence[str]) -> list[SplitName]:
    """The part of each sample, from a file that `write_division` wrote. Names beyond those asked for are left alone.

    Raises:
        UserError: Where the file is missing, has another word than train, val, test, or lacks samples.
    """
    table = read_table(path, ["name", "split"])
    words = table.texts("split")
    if wrong := [i for i, word in enumerate(words) if word not in PARTS]:
        where = table.where(wrong[0])
        raise UserError(f"{path} has a split other than {', '.join(PARTS)}: {words[wrong[0]]!r}, {where}")
    known: dict[str, str] = {}
    for i, (name, word) in enumerate(zip(table.texts("name"), words, strict=True)):
        if known.setdefault(name, word) != word:
            raise UserError(f"{path} says {known[name]} and, in {table.where(i)}, {word} of {name}")
    if lacking := [name for name in names if name not in known]:
        raise UserError(
            f"{path} does not say where {len(lacking)} of {len(names)} samples belong, {lacking[0]} for one: "
            "it is of other data"
        )
    return [cast(SplitName, known[name]) for name in names]


def _drawn(groups: Sequence[Hashable], plan: Division) -> list[SplitName]:
    sizes = Counter(groups)
    order = sorted(sizes, key=lambda group: (str(type(group)), str(group)))  # whatever the order on disk
    if len(order) < len(PARTS):
        raise UserError(f"split.by={plan.by}: {len(order)} of them cannot be divided into {', '.join(PARTS)}")
    generator = np.random.default_rng(derive_seed(plan.seed, "division", plan.by))
    waiting = [order[i] for i in generator.permutation(len(order))]
    chosen: dict[Hashable, SplitName] = {}
    shares: tuple[tuple[SplitName, float], ...] = (("test", plan.test), ("val", plan.val))
    for still_empty, (part, share) in zip((2, 1), shares, strict=True):
        wanted, held = share * len(groups), 0
        taken: list[Hashable] = []
        for group in waiting:
            fits = held + sizes[group] / 2 <= wanted  # ends nearest to the share
            if fits and len(waiting) - len(taken) > still_empty:  # a group at least for each part that comes later
                taken.append(group)
                held += sizes[group]
        taken = taken or [min(waiting, key=sizes.__getitem__)]
        chosen.update(dict.fromkeys(taken, part))
        waiting = [group for group in waiting if group not in chosen]
    return [chosen.get(group, "train") for group in groups]
