"""The tables of the DIR benchmark (AgeDB-DIR, IMDB-WIKI-DIR): columns age, path, split."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, find_duplicates, leaves_folder, read_labels, read_table
from rnc_lightning.datasets.splits import PARTS, Split, SplitName


@dataclass(frozen=True)
class AgeRows:
    """Usable rows of a table.

    Attributes:
        table: The rows.
        ages: (N,) float64, years.
        paths: N paths relative to the table.
        parts: N times train, val or test.
    """

    table: Table
    ages: np.ndarray
    paths: list[str]
    parts: list[str]

    def splits(self, files: Sequence[Path | None], problems: Problems) -> dict[SplitName, Split]:
        """The three splits; rows without a file become problems."""
        found = {i for i, file in enumerate(files) if file is not None}
        taken: dict[Path, int] = {}
        for i, file in enumerate(files):
            if file is None:
                problems.add("missing file", self.table.where(i), self.paths[i])
            elif (first := taken.setdefault(file, i)) != i:
                found.discard(i)
                told = f"{self.paths[i]} and {self.table.where(first)}: {file.name}"
                problems.add("file that two rows lead to", self.table.where(i), told)
        splits: dict[SplitName, Split] = {}
        for part in PARTS:
            rows = [i for i in sorted(found) if self.parts[i] == part]
            ages = torch.tensor(self.ages[rows], dtype=torch.float32)[:, None]
            chosen = [file for i in rows if (file := files[i]) is not None]
            inputs = ImageFiles(chosen, [self.table.where(i) for i in rows])
            splits[part] = Split(inputs, ages, [self.paths[i] for i in rows])
        return splits

    def select(self, keep: np.ndarray) -> "AgeRows":
        """The rows where a mask is true."""
        rows = np.flatnonzero(keep).tolist()
        return AgeRows(
            self.table.select(keep), self.ages[keep], [self.paths[i] for i in rows], [self.parts[i] for i in rows]
        )


def read_age_table(path: Path, problems: Problems, plausible: tuple[float, float], how_to_get: str) -> AgeRows:
    """Read and check a table of ages, paths and splits; bad rows become problems.

    Args:
        path: The CSV.
        problems: Gets the bad rows.
        plausible: Lowest and highest age that is no mistake.
        how_to_get: What to tell where there is no such file.

    Raises:
        UserError: Where the table is missing or lacks a column.
    """
    table = read_table(path, ["age", "path", "split"], missing=how_to_get)
    ages, good = read_labels(table, ["age"], problems, [plausible])
    paths, parts = [path.replace("\\", "/") for path in table.texts("path")], table.texts("split")
    for i, (relative, part) in enumerate(zip(paths, parts, strict=True)):
        if part not in PARTS:
            problems.add("split other than train, val, test", table.where(i), repr(part))
        elif not relative:
            problems.add("path missing", table.where(i))
        elif leaves_folder(relative):
            problems.add("path that leads out of the folder", table.where(i), relative)
        else:
            continue
        good[i] = False
    good &= ~find_duplicates([os.path.normpath(path) if path else "" for path in paths], table, "path", problems)
    return AgeRows(table, ages[:, 0], paths, parts).select(good)
