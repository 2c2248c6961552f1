"""The files that a table of your own lists: within its folder, and nowhere else."""

import os
from pathlib import Path

import numpy as np

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, is_file, leaves_folder
from rnc_lightning.system.errors import UserError


def find_files(
    table: Table, column: str, root: Path, problems: Problems, root_key: str = "data.root"
) -> tuple[list[str], list[Path], np.ndarray]:
    """Each row's file.

    Args:
        table: The rows.
        column: Column of the paths, relative to `root` or, where absolute, within it.
        root: The folder.
        problems: Gets the rows whose path is missing, leads out of the folder or to no file.
        root_key: What a person calls the folder by.

    Returns:
        N names (paths relative to `root`, written in one way), N files, and which rows (N,) have one.

    Raises:
        UserError: Where not one of the files is there.
    """
    written = table.texts(column)
    names = [_relative(path, root) for path in written]
    files = [root / name for name in names]
    inside = [bool(path) and not leaves_folder(name) for path, name in zip(written, names, strict=True)]
    good = np.array([within and is_file(file) for within, file in zip(inside, files, strict=True)], dtype=bool)
    if any(inside) and not good.any():
        first = files[inside.index(True)]
        raise UserError(
            f"{table.path}: none of the files of its column {column} is there, {first} for one; {root_key} is the "
            "folder that the paths are relative to (null: that of the table)"
        )
    for i in np.flatnonzero(~good).tolist():
        if not written[i]:
            problems.add(f"{column} missing", table.where(i))
        elif not inside[i]:
            problems.add("path that leads out of the folder", table.where(i), written[i])
        else:
            problems.add("missing file", table.where(i), written[i])
    return names, files, good


def _relative(path: str, root: Path) -> str:
    """A path as the folder knows it, with slashes, and without the folder where it is absolute and within it."""
    plain = Path(os.path.normpath(path.replace("\\", "/")))
    if plain.is_absolute():
        for home in (Path(os.path.abspath(root)), root.resolve()):  # noqa: PTH100 - as written, and where links lead
            if plain.is_relative_to(home):
                return plain.relative_to(home).as_posix()
    return plain.as_posix()
