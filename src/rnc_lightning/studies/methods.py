"""The methods that a study compares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rnc_lightning.reports.claims import reduction
from rnc_lightning.reports.comparison import by_seed, gain_text, mean_text
from rnc_lightning.reports.statistics import Gain, paired_gain

Errors = Mapping[str, Mapping[int, float]]  # method -> seed -> error


@dataclass(frozen=True)
class Methods:
    """Names of methods in `conf/method/` -> their labels, as in {l1: L1, rnc: RnC(L1)}.

    Attributes:
        labels: The last method is compared with the first one.

    Raises:
        ValueError: For fewer than two.
    """

    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError(f"methods: two or more are compared, got {', '.join(self.labels) or 'none'}")

    @property
    def baseline(self) -> str:
        """The first method, which the others are compared with."""
        return next(iter(self.labels))

    @property
    def challenger(self) -> str:
        """The last method, whose gain is reported."""
        return list(self.labels)[-1]

    def errors(self, frame: pd.DataFrame, metric: str = "mae", **levels: Any) -> dict[str, dict[int, float]]:
        """Return method -> seed -> metric of the rows with these levels."""
        return {method: by_seed(frame, metric, method=method, **levels) for method in self.labels}

    def cells(self, errors: Errors) -> list[str]:
        """Return table cells: each method's mean error, then the gain of the challenger over the baseline."""
        gain = paired_gain(errors[self.baseline], errors[self.challenger], higher_is_better=False)
        return [*map(mean_text, errors.values()), gain_text(gain)]

    def reduction(self, errors: Errors) -> Gain | None:
        """Return by how many percent the challenger's error is lower than the baseline's."""
        return reduction(errors[self.baseline], errors[self.challenger])
