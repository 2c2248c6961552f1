"""Your own images, listed in a table with their targets.

<anywhere>/my.csv        columns of your choice, such as path, age, person, split
<anywhere>/...           the images, at the paths in the table
"""

from pathlib import Path
from typing import Any

from rnc_lightning.datasets.images.datamodule import ImagesDataModule
from rnc_lightning.datasets.images.files import ImageFiles
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.datasets.table_datamodule import UserTableDataModule


class TableDataModule(UserTableDataModule, ImagesDataModule):
    """Image files listed in a table.

    Args:
        input: Column of the images' paths.
        root: Folder that the paths are relative to; null: the folder of the table.
        **table: Arguments of `UserTableDataModule` and `RegressionDataModule`.
    """

    def __init__(self, *, input: str = "path", root: str | None = None, **table: Any) -> None:
        super().__init__(**table)
        self.input = str(input)
        if root is not None:
            self.root = Path(root)

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table and look for every image; rows that cannot be used become problems."""
        rows, files = self.read_file_rows(self.input, problems)
        return rows.splits(lambda chosen: ImageFiles([files[i] for i in chosen], [rows.table.where(i) for i in chosen]))
