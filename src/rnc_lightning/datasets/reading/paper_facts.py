"""What the paper reports about a data set, shown next to what is on disk."""

from collections.abc import Mapping
from dataclasses import dataclass

from rnc_lightning.datasets.splits import SplitName


@dataclass(frozen=True)
class Published:
    """The paper's numbers for one data set.

    Attributes:
        counts: Samples in each split, without the splits that the paper does not have.
        low: Lowest label.
        high: Highest label.
        same_split: Whether the paper's split is public sample by sample. If not, only the sizes can match.
        note: Further remarks, such as where a number comes from.
    """

    counts: Mapping[SplitName, int]
    low: float | None = None
    high: float | None = None
    same_split: bool = False
    note: str = ""
