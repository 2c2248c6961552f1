"""Base of the metrics that are computed for each target dimension, with labels that may be missing."""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from rnc_lightning.metrics.wide_sums import WideSums
from rnc_lightning.numerics.checks import check_whole_number
from rnc_lightning.numerics.precision import in_widest_dtype


class PerDimension(WideSums):
    """A metric of (B, D) predictions and targets, one value for each dimension, from sums in float64.

    A target that is NaN is a missing label: its dimension of that sample is ignored. A prediction that is NaN is not.

    Subclasses have a `key`, add states, and define `_add` and `_values`.

    Args:
        num_outputs: D, the number of target dimensions.
        names: D names; then `compute` returns the mean as `key` and each dimension as `key/name`. Empty: the mean only.
        kwargs: Passed on to `torchmetrics.Metric`.

    Raises:
        ValueError: If `num_outputs` is below 1, or there are names, but not D different ones.
    """

    is_differentiable = False
    full_state_update = False

    key: ClassVar[str]
    fewest: ClassVar[int] = 1  # samples that a dimension needs for a value
    counts: Tensor

    def __init__(self, num_outputs: int = 1, names: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_whole_number("num_outputs", num_outputs, least=1)
        if names and len(set(names)) != num_outputs:
            raise ValueError(f"names must be {num_outputs} different ones, got {list(names)}")
        self.num_outputs = num_outputs
        self.names = list(names)
        self.add_state("counts", torch.zeros(num_outputs, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, predictions: Tensor, targets: Tensor) -> None:
        """Add a batch.

        Args:
            predictions: (B, D), or (B,) if D is 1.
            targets: Same shape as `predictions`; NaN for a missing label.

        Raises:
            ValueError: If the shapes differ or D is not `num_outputs`.
        """
        predictions, targets = as_wide_columns(predictions, targets)
        if targets.shape[1] != self.num_outputs:
            raise ValueError(
                f"predictions have {targets.shape[1]} columns but num_outputs is {self.num_outputs}: "
                "set it to the number of target dimensions"
            )
        known = ~targets.isnan()
        if len(targets):
            self._add(predictions.where(known, 0), targets.where(known, 0), known)
            self.counts = self.counts + known.sum(dim=0)

    def compute(self) -> Tensor | dict[str, Tensor]:
        """The mean over the dimensions that have enough labels, NaN without any; with names also every dimension."""
        enough = self.counts >= self.fewest
        values = self._values().where(enough, torch.nan)
        mean = values[enough].mean()
        if not self.names:
            return mean
        each = {f"{self.key}/{name}": value for name, value in zip(self.names, values.unbind(), strict=True)}
        return {self.key: mean, **each}

    def _add(self, predictions: Tensor, targets: Tensor, known: Tensor) -> None:
        """Add a batch (B, D) in float64, before it is counted; both are 0 where the label is not known."""
        raise NotImplementedError

    def _values(self) -> Tensor:
        """The metric of each dimension (D,); any number where there are too few labels."""
        raise NotImplementedError


def as_wide_columns(predictions: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Predictions and targets as (B, D) in float64; (B,) becomes (B, 1).

    Raises:
        ValueError: If the shapes differ or have more than two dimensions.
    """
    if predictions.shape != targets.shape or predictions.ndim not in (1, 2):
        raise ValueError(
            "predictions and targets must both be (B,) or (B, D), "
            f"got {tuple(predictions.shape)} and {tuple(targets.shape)}: reshape one of them"
        )
    wide = (in_widest_dtype(x) for x in (predictions, targets))
    predictions, targets = (x[:, None] if x.ndim == 1 else x for x in wide)
    return predictions, targets
