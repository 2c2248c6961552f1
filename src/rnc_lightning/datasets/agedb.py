"""AgeDB in its official layout, with the split that the paper uses (AgeDB-DIR).

    <root>/agedb.csv                        columns age, path, split (train, val, test)
    <root>/AgeDB/<id>_<Name>_<age>_<m|f>.jpg

Some names in the CSV were decoded with another code page than unpacking tools use. A file is therefore looked up by
its path as written, then by the name decoded again, then by the unique number at the start of the name.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from rnc_lightning.datasets.images.datamodule import ImagesDataModule
from rnc_lightning.datasets.reading.age_table import read_age_table
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.system.errors import UserError

_HOW_TO_GET = (
    "AgeDB is licensed: ask its authors for the password of the archive "
    "(https://ibug.doc.ic.ac.uk/resources/agedb), unpack it so that {root}/AgeDB/*.jpg exists, and put agedb.csv "
    "(data/agedb.csv of the official Rank-N-Contrast repository) at {root}/agedb.csv. "
    "Elsewhere: set paths.data_dir=... or the environment variable RNC_DATA."
)

_PLAUSIBLE = (0.0, 120.0)


class AgeDBDataModule(ImagesDataModule):
    """AgeDB faces and ages in years.

    Args:
        root: Folder with `agedb.csv` and `AgeDB/`.
        csv: Name of the table within `root`.
        **loading: Arguments of `RegressionDataModule`.
    """

    terms: ClassVar[str] = (
        "AgeDB is provided by its authors on request (https://ibug.doc.ic.ac.uk/resources/agedb), under their own "
        "terms. Photographs of people: ask the authors before you share models trained on them."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 12208, "val": 2140, "test": 2140},
        low=1,
        high=101,
        same_split=True,
        note="The split is by image: most people occur in more than one part, as in the paper.",
    )

    def __init__(self, *, root: str, csv: str = "agedb.csv", **loading: Any) -> None:
        super().__init__(**loading)
        self.root = Path(root)
        self.csv = csv

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table and find every image; missing ones become problems."""
        assert self.root is not None
        how_to_get = _HOW_TO_GET.format(root=self.root)
        rows = read_age_table(self.root / self.csv, problems, _PLAUSIBLE, how_to_get)
        if rows.paths and not any(os.path.isdir((self.root / path).parent) for path in rows.paths):  # noqa: PTH112
            raise UserError(f"there is no folder {(self.root / rows.paths[0]).parent}. {how_to_get}")
        return rows.splits(find_images(self.root, rows.paths), problems)


def find_images(root: Path, paths: Sequence[str]) -> list[Path | None]:
    """The file for each path in the table, None if there is none."""
    folders = {root / Path(path).parent for path in paths}
    existing = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112 - is_dir raises for long names
    files = {file for folder in existing for file in folder.iterdir()}
    by_id: dict[tuple[Path, str], list[Path]] = {}
    for file in files:
        by_id.setdefault((file.parent, _id(file)), []).append(file)
    return [_find_image(root / path, files, by_id) for path in paths]


def _find_image(path: Path, files: set[Path], by_id: dict[tuple[Path, str], list[Path]]) -> Path | None:
    if path in files:
        return path
    with suppress(UnicodeError):
        decoded_again = path.with_name(path.name.encode("cp866").decode("cp437"))
        if decoded_again in files:
            return decoded_again
    candidates = by_id.get((path.parent, _id(path)), [])
    return candidates[0] if len(candidates) == 1 else None


def _id(path: Path) -> str:
    return path.name.split("_", 1)[0]
