"""Random splits, for data without a published one: drawn with a recorded seed, written to a file, read from one."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from rnc_lightning.datasets.reading.tables import Table, read_table
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
        self,
        names: Sequence[str],
        groupings: Mapping[str, Sequence[Hashable]] | None = None,
        contents: Sequence[str] | None = None,
    ) -> list[SplitName]:
        """The part of each sample.

        Args:
            names: The samples' names, all different.
            groupings: For each possible value of `by` except `sample`, the group of each sample.
            contents: What identifies the samples in `file` if their names are only numbers of rows; None: the names.

        Raises:
            ValueError: If `by` is neither `sample` nor one of the groupings.
            UserError: If there are too few groups, or the file does not match the samples.
        """
        groupings = groupings or {}
        if self.by != "sample" and self.by not in groupings:
            raise ValueError(f"split.by must be {' or '.join(['sample', *groupings])}, got {self.by!r}")
        if self.file is not None:
            return read_division(Path(self.file), names, contents)
        return _draw(names if self.by == "sample" else groupings[self.by], self)


def row_contents(table: Table, columns: Sequence[str]) -> list[str]:
    """A hash of the cells of each row (N), by which a row is found again where it has no name of its own.

    The same number counts as the same whether it is written 1, 1.0 or 1e0; the order of the columns does not matter.
    """
    texts = {name: [_plain_cell(text) for text in table.texts(name)] for name in sorted(columns)}
    rows = zip(*texts.values(), strict=True)
    head = "\x1f".join(texts)
    return [hashlib.sha256("\x1f".join((head, *row)).encode()).hexdigest()[:16] for row in rows]


def _plain_cell(text: str) -> str:
    if len(text) > 15:  # float64 does not tell longer numbers apart
        return text
    try:
        return repr(float(text))
    except ValueError:
        return text


def write_division(
    path: Path, parts: Mapping[SplitName, Sequence[str]], contents: Mapping[str, str] | None = None
) -> None:
    """Write the names of each part as `split.csv`, which `data.split.file` reads.

    Args:
        path: The file.
        parts: The names.
        contents: By name, what identifies a sample whose name is only the number of its row.
    """
    rows = [(name, part) for part, names in parts.items() for name in names]
    table = pd.DataFrame(rows, columns=["name", "split"])
    if contents:
        table["content"] = table["name"].map(contents)
    write_text(path, table.to_csv(index=False))


def read_division(path: Path, names: Sequence[str], contents: Sequence[str] | None = None) -> list[SplitName]:
    """The part of each sample, from a file written by `write_division`. Other samples in the file are ignored.

    Args:
        path: The file.
        names: N names.
        contents: What identifies the N samples if their names are only numbers of rows, which change when a table is
            sorted or filtered; None: the names.

    Raises:
        UserError: If the file is missing, has a split other than train, val, test, or lacks samples.
    """
    table = read_table(path, ["name", "split"], ["content"])
    for i, part in enumerate(texts := table.texts("split")):
        if part not in PARTS:
            raise UserError(f"{path} has a split other than {', '.join(PARTS)}: {part!r}, {table.where(i)}")
    parts = [cast(SplitName, part) for part in texts]
    if contents is None:
        return _by_name(path, table, parts, names)
    if "content" not in table.frame.columns:
        raise UserError(
            f"{path} names its samples by the numbers of their rows, and nothing shows that these are the same rows: "
            "name a column that identifies them (data.id=COLUMN) and use a split.csv written with it"
        )
    return _by_content(path, table.texts("content"), parts, names, contents)


def _by_name(path: Path, table: Table, parts: Sequence[SplitName], names: Sequence[str]) -> list[SplitName]:
    part_of: dict[str, SplitName] = {}
    for i, (name, part) in enumerate(zip(table.texts("name"), parts, strict=True)):
        if part_of.setdefault(name, part) != part:
            raise UserError(f"{path} assigns {name} to {part_of[name]} and, in {table.where(i)}, to {part}")
    if missing := [name for name in names if name not in part_of]:
        raise UserError(
            f"{path} does not contain {len(missing)} of the {len(names)} samples, for example {missing[0]}: "
            "it belongs to other data"
        )
    return [part_of[name] for name in names]


def _by_content(
    path: Path, known: Sequence[str], parts: Sequence[SplitName], names: Sequence[str], contents: Sequence[str]
) -> list[SplitName]:
    """The part of each row by its content; rows of equal content are taken in their order."""
    left: dict[str, list[SplitName]] = defaultdict(list)
    for content, part in zip(reversed(known), reversed(parts), strict=True):
        left[content].append(part)
    found = [left[content].pop() if left[content] else None for content in contents]
    if missing := [name for name, part in zip(names, found, strict=True) if part is None]:
        raise UserError(
            f"{path} does not contain {len(missing)} of the {len(names)} rows, for example {missing[0]}: they are new "
            "or were changed since. Name a column that identifies the rows (data.id=COLUMN), or draw a new split"
        )
    return [part for part in found if part is not None]


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
