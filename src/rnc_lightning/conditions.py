"""Under which conditions a finished run is tested: clean, or with one corruption at one severity."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rnc_lightning.data.corrupted import CorruptedInputs
from rnc_lightning.data.corruptions import NAMES, SEVERITIES, Corruption
from rnc_lightning.data.datamodule import RegressionDataModule
from rnc_lightning.data.splits import SplitName


@dataclass(frozen=True)
class Condition:
    """What is done to the images.

    Attributes:
        corruption: Its name; `none` where nothing is done.
        severity: 1 to 5; 0 where nothing is done.
    """

    corruption: str = "none"
    severity: int = 0

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.corruption}-{self.severity}" if self.severity else "clean"


CLEAN = Condition()
ALL = (CLEAN, *(Condition(name, severity) for name in NAMES for severity in SEVERITIES))


def conditions(corruptions: Sequence[str], severities: Sequence[int]) -> list[Condition]:
    """Clean, then each corruption at each severity, all of them where none is named.

    >>> [condition.name for condition in conditions(["fog"], [1, 5])]
    ['clean', 'fog-1', 'fog-5']
    """
    return [CLEAN, *(Condition(name, severity) for name in corruptions for severity in severities or SEVERITIES)]


def under(
    condition: Condition, datamodule: RegressionDataModule, part: SplitName, side: int | None
) -> RegressionDataModule:
    """The data with one part in the test's place, as the condition has it; the data given stay as they are.

    Raises:
        UserError: Where a corruption is asked for and the inputs are no images.
    """
    other = copy.copy(datamodule)
    split = datamodule.splits[part]
    if condition.severity:
        inputs = CorruptedInputs(
            split.inputs, datamodule.eval_transform, Corruption(condition.corruption, condition.severity), side
        )
        split = replace(split, inputs=inputs)
        other.eval_transform = inputs.finishing
    other.splits = {**datamodule.splits, "test": split}
    return other
