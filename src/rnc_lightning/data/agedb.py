"""AgeDB in its official layout, on the split that the paper uses (that of AgeDB-DIR).

    <root>/agedb.csv                        columns age, path, split (train, val, test)
    <root>/AgeDB/<id>_<Name>_<age>_<m|f>.jpg

Some names in the CSV were decoded with another code page than unpacking tools use, so a file is looked up by its
path as written, then by the name decoded anew, then by the number that begins it, which is unique.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image

from rnc_lightning.data.datamodule import RegressionDataModule
from rnc_lightning.data.splits import Split, SplitName
from rnc_lightning.errors import UserError

_HOW_TO_GET = (
    "AgeDB is licensed: ask its authors for the password of the archive "
    "(https://ibug.doc.ic.ac.uk/resources/agedb), unpack it so that {root}/AgeDB/*.jpg exists, and put agedb.csv "
    "(data/agedb.csv of the official Rank-N-Contrast repository) at {root}/agedb.csv. "
    "Elsewhere: set paths.data_dir=... or the environment variable RNC_DATA."
)
_PARTS: tuple[SplitName, ...] = ("train", "val", "test")


class ImageFiles:
    """Image files, decoded to RGB when asked for.

    Args:
        paths: One file a sample.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            with Image.open(path) as image:
                return image.convert("RGB")
        except OSError as error:
            raise UserError(f"{path} cannot be read as an image ({error}): replace it from the archive") from error


class AgeDBDataModule(RegressionDataModule):
    """AgeDB faces and ages in years.

    Args:
        root: Folder with `agedb.csv` and `AgeDB/`.
        csv: Name of the table within `root`.
        **loading: Arguments of `RegressionDataModule`.
    """

    def __init__(self, *, root: str, csv: str = "agedb.csv", **loading: Any) -> None:
        super().__init__(**loading)
        self.root = Path(root)
        self.csv = csv

    def read(self) -> dict[SplitName, Split]:
        """Read the table and find every image.

        Raises:
            UserError: Where the table or images are missing, or rows are bad; with all of them counted.
        """
        table = read_table(self.root / self.csv)
        files = resolve(table["path"].tolist(), self.root, self.csv)
        splits: dict[SplitName, Split] = {}
        for part in _PARTS:
            rows = np.flatnonzero(table["split"].to_numpy() == part)
            ages = torch.tensor(table["age"].to_numpy()[rows], dtype=torch.float32)[:, None]
            names = table["path"].iloc[rows].tolist()
            splits[part] = Split(ImageFiles([files[i] for i in rows]), ages, names)
        return splits

    def content_digest(self) -> bytes:
        """Sizes of all files: reading 16,488 images only to tell whether they changed would take minutes."""
        return b"".join(
            path.stat().st_size.to_bytes(8, "little")
            for part in _PARTS
            for path in self.splits[part].inputs.paths  # type: ignore[attr-defined]
        )


def read_table(path: Path) -> pd.DataFrame:
    """Read and check the table of ages, paths and splits.

    Raises:
        UserError: Naming the file, the rows and the remedy.
    """
    if not path.is_file():
        raise UserError(f"there is no {path}. {_HOW_TO_GET.format(root=path.parent)}")
    try:
        table = pd.read_csv(path, encoding="utf-8-sig")
    except (ValueError, pd.errors.ParserError) as error:
        raise UserError(f"{path} is not a CSV table: {error}") from error
    missing = {"age", "path", "split"} - set(table.columns)
    if missing:
        raise UserError(
            f"{path} has no column {', '.join(sorted(missing))}; its columns are {', '.join(table.columns)}"
        )
    table["age"] = pd.to_numeric(table["age"], errors="coerce")
    bad = (
        (~np.isfinite(table["age"]), "an age that is not a number"),
        (~table["split"].isin(_PARTS), "a split other than train, val, test"),
        (table["path"].isna(), "no path"),
        (table["path"].duplicated(keep=False), "a path that occurs more than once"),
    )
    for rows, what in bad:
        if rows.any():
            lines = (np.flatnonzero(rows) + 2).tolist()  # the header is line 1
            raise UserError(f"{path}: {len(lines)} rows with {what}, in lines {_some(lines)}")
    for part in _PARTS:
        if not (table["split"] == part).any():
            raise UserError(f"{path} has no row with split {part}")
    return table


def resolve(paths: Sequence[str], root: Path, csv: str = "agedb.csv") -> list[Path]:
    """Find the file of each path of the table.

    Raises:
        UserError: Where the folder is missing, or files are: how many, which first, and what to get.
    """
    folders = {root / Path(path).parent for path in paths}
    for folder in sorted(folders):
        if root.resolve() not in (folder.resolve(), *folder.resolve().parents):
            raise UserError(f"{root / csv} has paths that lead out of {root}: {folder}")
        if not folder.is_dir():
            raise UserError(f"there is no folder {folder}. {_HOW_TO_GET.format(root=root)}")
    present = {file for folder in folders for file in folder.iterdir()}
    by_id: dict[tuple[Path, str], list[Path]] = {}
    for file in present:
        by_id.setdefault((file.parent, file.name.split("_", 1)[0]), []).append(file)
    found: list[Path] = []
    missing: list[str] = []
    for path in paths:
        match = _find(root / path, present, by_id)
        if match is None:
            missing.append(path)
        else:
            found.append(match)
    if missing:
        raise UserError(
            f"{len(missing)} of {len(paths)} images of {root / csv} are missing: {_some(missing)}. "
            + _HOW_TO_GET.format(root=root)
        )
    return found


def _find(path: Path, present: set[Path], by_id: dict[tuple[Path, str], list[Path]]) -> Path | None:
    if path in present:
        return path
    try:
        again = path.with_name(path.name.encode("cp866").decode("cp437"))
    except UnicodeError:
        again = path
    if again in present:
        return again
    candidates = by_id.get((path.parent, path.name.split("_", 1)[0]), [])
    return candidates[0] if len(candidates) == 1 else None


def _some(items: Sequence[object], most: int = 5) -> str:
    shown = ", ".join(str(item) for item in items[:most])
    return f"{shown} and {len(items) - most} more" if len(items) > most else shown
