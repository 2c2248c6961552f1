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
        table: The rows themselves.
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
        first_rows: dict[Path, int] = {}
        for i, file in enumerate(files):
            if file is None:
                problems.add("missing file", self.table.where(i), self.paths[i])
            elif (first := first_rows.setdefault(file, i)) != i:
                detail = f"{self.paths[i]} and {self.table.where(first)}: {file.name}"
                problems.add("file named in two rows", self.table.where(i), detail)
        splits: dict[SplitName, Split] = {}
        for part in PARTS:
            chosen = {i: file for file, i in first_rows.items() if self.parts[i] == part}
            ages = torch.tensor(self.ages[list(chosen)], dtype=torch.float32)[:, None]
            inputs = ImageFiles(list(chosen.values()), [self.table.where(i) for i in chosen])
            splits[part] = Split(inputs, ages, [self.paths[i] for i in chosen])
        return splits


def read_age_table(path: Path, problems: Problems, plausible: tuple[float, float], how_to_get: str) -> AgeRows:
    """Read and check a table of ages, paths and splits; bad rows become problems.

    Args:
        path: The CSV.
        problems: Receives the bad rows.
        plausible: Lowest and highest age to accept.
        how_to_get: How to obtain the data, for the message when the file is missing.

    Raises:
        UserError: If the table is missing or lacks a column.
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
            problems.add("path outside the folder", table.where(i), relative)
        else:
            continue
        good[i] = False
    good &= ~find_duplicates([os.path.normpath(path) if path else "" for path in paths], table, "path", problems)
    rows = np.flatnonzero(good).tolist()
    return AgeRows(table.select(good), ages[good, 0], [paths[i] for i in rows], [parts[i] for i in rows])
