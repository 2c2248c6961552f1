"""The methods that a study compares: names in `conf/method/` and what they are called, the first one the baseline."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Methods:
    """Method -> label, as in {l1: L1, rnc: RnC(L1)}.

    Attributes:
        labels: The first one is what the last one is compared with.

    Raises:
        ValueError: For fewer than two.
    """

    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError(f"methods: two or more are compared, got {', '.join(self.labels) or 'none'}")

    @property
    def baseline(self) -> str:
        """The first one named, which the others are compared with."""
        return next(iter(self.labels))

    @property
    def challenger(self) -> str:
        """The last one named, whose gain is reported."""
        return list(self.labels)[-1]
