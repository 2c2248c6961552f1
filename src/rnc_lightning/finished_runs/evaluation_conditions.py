"""Under which conditions a finished run is tested: clean, or with one corruption at one severity."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rnc_lightning.datasets.images.corrupted import CorruptedInputs
from rnc_lightning.datasets.images.corruptions import NAMES, SEVERITIES, Corruption
from rnc_lightning.datasets.loading.datamodule import RegressionDataModule
from rnc_lightning.datasets.splits import SplitName


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


_MOST_BYTES = 200_000_000  # of corrupted pictures that are remembered
_kept: OrderedDict[Hashable, Tensor] = OrderedDict()  # for the runs of a study, which see the same pictures
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
    split = datamodule.splits[part]
    if not condition.severity:
        return datamodule.with_test(split)
    corruption = Corruption(condition.corruption, condition.severity)
    inputs = CorruptedInputs(split.inputs, datamodule.eval_transform, corruption, side)
    if not isinstance(split.inputs, Tensor):
        return datamodule.with_test(replace(split, inputs=inputs), inputs.finishing)
    place = (datamodule.fingerprint, part, condition, side)  # so small that they are held in memory
    return datamodule.with_test(replace(split, inputs=_remembered(place, inputs)), inputs.finishing)


def _remembered(place: Hashable, inputs: CorruptedInputs) -> Tensor:
    """All corrupted inputs, made once in a process for all runs on the same data."""
    if place not in _kept:
        _kept[place] = torch.stack([inputs[i] for i in range(len(inputs))])
        while len(_kept) > 1 and sum(pictures.nbytes for pictures in _kept.values()) > _MOST_BYTES:
            _kept.popitem(last=False)
    return _kept[place]
