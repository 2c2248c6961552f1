"""Finds the files listed in your own table; only files inside the root folder are accepted."""

import os
from pathlib import Path

import numpy as np

from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import Table, is_file, leaves_folder
from rnc_lightning.system.errors import UserError


def find_files(
    table: Table, column: str, root: Path, problems: Problems, root_key: str = "data.root"
) -> tuple[list[str], list[Path], np.ndarray]:
    """Find each row's file.

    Args:
        table: N rows.
        column: Column of the paths: relative to `root`, or absolute and inside it.
        root: The folder.
        problems: Receives the rows whose path is missing, leads out of the folder, or names no existing file.
        root_key: Name of the option for the folder, for messages.

    Returns:
        N names (normalized paths relative to `root`), N files, and a mask (N,) of the rows whose file exists.

    Raises:
        UserError: If none of the files exists.
    """
    written = table.texts(column)
    names = [_relative(path, root) for path in written]
    files = [root / name for name in names]
    inside = [bool(path) and not leaves_folder(name) for path, name in zip(written, names, strict=True)]
    good = np.array([ok and is_file(file) for ok, file in zip(inside, files, strict=True)], dtype=bool)
    if any(inside) and not good.any():
        first = files[inside.index(True)]
        raise UserError(
            f"{table.path}: none of the files in column {column} exists, for example {first}; {root_key} is the "
            "folder that the paths are relative to (null: the folder of the table)"
        )
    for i in np.flatnonzero(~good).tolist():
        if not written[i]:
            problems.add(f"{column} missing", table.where(i))
        elif not inside[i]:
            problems.add("path outside the folder", table.where(i), written[i])
        else:
            kind = "not a file" if os.path.exists(files[i]) else "missing file"  # noqa: PTH110 - as in `is_file`
            problems.add(kind, table.where(i), written[i])
    return names, files, good


def _relative(path: str, root: Path) -> str:
    """The normalized path with forward slashes, relative to `root` if it is inside it."""
    normalized = Path(os.path.normpath(path.replace("\\", "/")))
    for folder in (Path(os.path.abspath(root)), root.resolve()):  # noqa: PTH100 - as written, and with links resolved
        if normalized.is_relative_to(folder):
            return normalized.relative_to(folder).as_posix()
    return normalized.as_posix()
