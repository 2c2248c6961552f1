"""Files and rows of your own without labels, to predict from: a folder, a single file, or a table."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.transforms import v2

from rnc_lightning.datasets.feature_table import column_names
from rnc_lightning.datasets.images.files import open_rgb
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, is_file, labels
from rnc_lightning.datasets.reading.user_files import find_files
from rnc_lightning.datasets.reading.user_table import read_user_table
from rnc_lightning.system.errors import UserError

IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


SIGNALS = (".edf", ".npy", ".npz")


@dataclass(frozen=True)
class UserFiles:
    """Files to predict from.

    Attributes:
        paths: N files.
        where: What a person finds each by: its path, or the table's row.
        columns: N rows that go into the predictions' table before what is predicted.
        numbers: Of the rows in the table, where there is one.
    """

    paths: list[Path]
    where: list[str]
    columns: pd.DataFrame

    def __len__(self) -> int:
        return len(self.paths)

    def without(self, bad: Mapping[int, str]) -> "UserFiles":
        """The others."""
        kept = [i for i in range(len(self)) if i not in bad]
        return UserFiles([self.paths[i] for i in kept], [self.where[i] for i in kept], self.columns.iloc[kept])


def list_files(inputs: Path, suffixes: Sequence[str], column: str, root: Path | None, problems: Problems) -> UserFiles:
    """The files in a folder and those below it, a single file, or those that a table lists.

    Args:
        inputs: A folder, a file with one of the suffixes, or a table (CSV or Parquet).
        suffixes: Of the files that are taken from a folder; others are passed over.
        column: The table's column of paths.
        root: Folder that its paths are relative to; None: that of the table.
        problems: Gets the rows without a file.

    Raises:
        UserError: Where there is nothing to predict from.
    """
    if inputs.is_dir():
        names = sorted(_below(inputs, suffixes))
        if not names:
            raise UserError(f"inputs={inputs}: no file in it, nor below it, ends in {', '.join(suffixes)}")
        return UserFiles([inputs / name for name in names], [str(inputs / name) for name in names], _named(names))
    if is_file(inputs) and inputs.suffix.lower() in suffixes:
        return UserFiles([inputs], [str(inputs)], _named([inputs.name]))
    table = _whole_table(inputs, [column])
    if column not in table.frame.columns:
        raise UserError(
            f"inputs={inputs} has no column {column}, which would have the paths (input=...); its columns are "
            f"{', '.join(table.frame.columns)}"
        )
    _, files, good = find_files(table, column, inputs.parent if root is None else root, problems, root_key="root")
    kept = np.flatnonzero(good).tolist()
    return UserFiles([files[i] for i in kept], [table.where(i) for i in kept], table.frame.iloc[kept])


def read_rows(inputs: Path, preparation: Mapping[str, Any], problems: Problems) -> tuple[Tensor, pd.DataFrame]:
    """Rows of numbers (N, F), prepared as in training, and their table; rows with a number missing become problems.

    Args:
        inputs: A table, or an .npz file with `x` (N, F).
        preparation: `ArrayDataModule.preparation` of the training data.
        problems: Gets the rows that cannot be used.

    Raises:
        UserError: Where the file cannot be read, or lacks an input.
    """
    columns = [str(name) for name in preparation["inputs"]]
    table = _npz(inputs) if inputs.suffix.lower() == ".npz" else _whole_table(inputs, columns)
    if absent := [name for name in columns if name not in table.frame.columns]:
        raise UserError(f"inputs={inputs} has no {', '.join(absent)}, which the run was trained with")
    values, good = labels(table, columns, problems)
    values = (values[good] - np.array(preparation["centre"])) / np.array(preparation["scale"])
    frame = table.frame[good]
    if inputs.suffix.lower() == ".npz":
        frame = pd.DataFrame({"row": np.flatnonzero(good)})
    return torch.tensor(values, dtype=torch.float32), frame


class GreyPictures:
    """Image files as the digits are: grey, in the middle, (1, size, size) uint8.

    Args:
        paths: The files.
        size: Side in pixels.
    """

    def __init__(self, paths: Sequence[Path], size: int) -> None:
        self.paths = list(paths)
        self._cut = v2.Compose([v2.Resize(size), v2.CenterCrop(size)])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        image = self._cut(open_rgb(self.paths[index]).convert("L"))
        return torch.from_numpy(np.array(image))[None]


def _below(folder: Path, suffixes: Sequence[str]) -> list[str]:
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        here = Path(place)
        named = [name for name in files if not name.startswith(".") and name.lower().endswith(tuple(suffixes))]
        found += [(here / name).relative_to(folder).as_posix() for name in named]
    return found


def _named(names: Sequence[str]) -> pd.DataFrame:
    shown = [name.encode("utf-8", "backslashreplace").decode() for name in names]  # a name need not be UTF-8
    return pd.DataFrame({"file": shown})


def _whole_table(path: Path, known: Sequence[str]) -> Table:
    if not is_file(path):
        raise UserError(f"inputs={path}: there is no such file or folder")
    return read_user_table(path, column_names(path, known))


def _npz(path: Path) -> Table:
    if not is_file(path):
        raise UserError(f"inputs={path}: there is no such file or folder")
    try:
        with np.load(path, allow_pickle=False) as file:
            x = file["x"]
    except Exception as error:  # a damaged file can bring up almost anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"inputs={path} has no array x that could be read: {reason}") from error
    if x.ndim != 2 or not len(x):
        raise UserError(f"inputs={path}: x must be (N, F), and is {x.shape}")
    return Table(path, pd.DataFrame({f"x{f}": x[:, f] for f in range(x.shape[1])}))
