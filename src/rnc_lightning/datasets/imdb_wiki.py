"""IMDB-WIKI in its official layout, on the split of IMDB-WIKI-DIR.

<root>/imdb_wiki.csv                    columns age, path, split (train, val, test)
<root>/imdb_crop/<2 digits>/*.jpg
<root>/wiki_crop/<2 digits>/*.jpg
"""

from pathlib import Path
from typing import Any, ClassVar

from rnc_lightning.datasets.images.datamodule import ImagesDataModule
from rnc_lightning.datasets.reading.age_table import read_age_table
from rnc_lightning.datasets.reading.paper_facts import Published
from rnc_lightning.datasets.reading.problems import Problems
from rnc_lightning.datasets.reading.tables import is_file
from rnc_lightning.datasets.splits import Split, SplitName
from rnc_lightning.system.errors import UserError

_HOW_TO_GET = (
    "IMDB-WIKI: get imdb_crop.tar and wiki_crop.tar (https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki), unpack "
    "both in {root}, and put imdb_wiki.csv (imdb-wiki-dir/data/imdb_wiki.csv of the repository "
    "YyzHarry/imbalanced-regression) at {root}/imdb_wiki.csv. "
    "Elsewhere: set paths.data_dir=... or the environment variable RNC_DATA."
)

_PLAUSIBLE = (0.0, 200.0)  # the bounds of IMDB-WIKI-DIR; some of the highest labels are wrong, but used there


class IMDBWikiDataModule(ImagesDataModule):
    """IMDB-WIKI faces and ages in years.

    Args:
        root: Folder with `imdb_wiki.csv`, `imdb_crop/` and `wiki_crop/`.
        csv: Name of the table within `root`.
        **loading: Arguments of `RegressionDataModule`.
    """

    terms: ClassVar[str] = (
        "IMDB-WIKI was collected by ETH Zurich (https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki), whose page has "
        "the terms. Photographs of people: read the terms before you share models trained on them."
    )

    published: ClassVar[Published] = Published(
        counts={"train": 191509, "val": 11022, "test": 11022},
        low=0,
        high=186,
        same_split=True,
        note="The counts are of the complete data set. The paper trains on subsamples of 2,000 to 32,000 images, whose "
        "lists are not public: ours are drawn with a seed (data.subset.size).",
    )

    def __init__(self, *, root: str, csv: str = "imdb_wiki.csv", **loading: Any) -> None:
        super().__init__(**loading)
        self.root = Path(root)
        self.csv = csv

    def read(self, problems: Problems) -> dict[SplitName, Split]:
        """Read the table and find its images; missing ones become problems."""
        assert self.root is not None
        how_to_get = _HOW_TO_GET.format(root=self.root)
        rows = read_age_table(self.root / self.csv, problems, _PLAUSIBLE, how_to_get)
        if not any((self.root / folder).is_dir() for folder in ("imdb_crop", "wiki_crop")):
            raise UserError(f"there is no folder imdb_crop or wiki_crop in {self.root}. {how_to_get}")
        return rows.splits([file if is_file(file := self.root / path) else None for path in rows.paths], problems)
