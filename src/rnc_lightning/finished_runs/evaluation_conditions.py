"""The conditions under which a finished run is tested: clean, or one corruption at one severity."""

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
    """A corruption of the images, or none.

    Attributes:
        corruption: Name of the corruption; `none` for clean images.
        severity: 1 to 5; 0 for clean images.
    """

    corruption: str = "none"
    severity: int = 0

    @property
    def name(self) -> str:
        """Name of the folder."""
        return f"{self.corruption}-{self.severity}" if self.severity else "clean"


_CACHE_BYTES = 200_000_000
_cache: OrderedDict[Hashable, Tensor] = OrderedDict()  # corrupted images, which all runs of a study share
CLEAN = Condition()
ALL = (CLEAN, *(Condition(name, severity) for name in NAMES for severity in SEVERITIES))


def list_conditions(corruptions: Sequence[str], severities: Sequence[int]) -> list[Condition]:
    """The clean condition, then each corruption at each severity; without severities, at all of them.

    >>> [condition.name for condition in list_conditions(["fog"], [1, 5])]
    ['clean', 'fog-1', 'fog-5']
    """
    return [CLEAN, *(Condition(name, severity) for name in corruptions for severity in severities or SEVERITIES)]


def apply_condition(
    condition: Condition, datamodule: RegressionDataModule, part: SplitName, side: int | None
) -> RegressionDataModule:
    """A copy of the data whose test set is one part of it, corrupted as the condition says.

    Raises:
        UserError: If the inputs of a corruption are not images.
    """
    split = datamodule.splits[part]
    if not condition.severity:
        return datamodule.with_test(split)
    corruption = Corruption(condition.corruption, condition.severity)
    inputs = CorruptedInputs(split.inputs, datamodule.eval_transform, corruption, side)
    if not isinstance(split.inputs, Tensor):
        return datamodule.with_test(replace(split, inputs=inputs), inputs.finishing)
    key = (datamodule.fingerprint, part, condition, side)  # images in memory are few enough for a cache
    if key not in _cache:
        _cache[key] = torch.stack([inputs[i] for i in range(len(inputs))])
        while len(_cache) > 1 and sum(images.nbytes for images in _cache.values()) > _CACHE_BYTES:
            _cache.popitem(last=False)
    return datamodule.with_test(replace(split, inputs=_cache[key]), inputs.finishing)
