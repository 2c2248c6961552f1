"""What the paper used of a data set, to be told beside what is on disk."""

from collections.abc import Mapping
from dataclasses import dataclass

from rnc_lightning.datasets.splits import SplitName


@dataclass(frozen=True)
class Published:
    """Numbers of the paper for one data set.

    Attributes:
        counts: Samples in each split; a split that the paper does not have is left out.
        low: Lowest label.
        high: Highest label.
        same_split: Whether the very lists of the paper's split are public. Else only the sizes can agree.
        note: What else to know, such as where a number comes from.
    """

    counts: Mapping[SplitName, int]
    low: float | None = None
    high: float | None = None
    same_split: bool = False
    note: str = ""
