"""Mean and standard deviation over seeds, and the paired gain of one method over another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit


@dataclass(frozen=True)
class Gain:
    """A paired difference, positive if the method is better.

    Attributes:
        mean: Over the common seeds.
        low: Lower end of the 95 percent t interval; None for a single pair.
        high: Upper end of the interval.
        pairs: Number of common seeds.
    """

    mean: float
    low: float | None
    high: float | None
    pairs: int


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Return mean and standard deviation (ddof 1) of at least one value; a single value has no deviation.

    >>> spread([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None


def paired_gain(
    alone: Mapping[int, float], method: Mapping[int, float], higher_is_better: bool, level: float = 0.95
) -> Gain | None:
    """Return the gain of a method over the head alone, over the seeds that both have; None if there is no such seed.

    Args:
        alone: Seed -> value of the head alone.
        method: Seed -> value of the method.
        higher_is_better: Whether larger values are better (R2) or worse (errors).
        level: Confidence level of the interval.
    """
    seeds = sorted(set(alone) & set(method))
    if not seeds:
        return None
    sign = -1.0 if higher_is_better else 1.0
    differences = sign * np.array([alone[seed] - method[seed] for seed in seeds], dtype=np.float64)
    mean, deviation = spread(differences.tolist())
    if deviation is None:
        return Gain(mean, None, None, 1)
    half = float(stdtrit(len(seeds) - 1, 0.5 + level / 2)) * deviation / np.sqrt(len(seeds))
    return Gain(mean, float(mean - half), float(mean + half), len(seeds))
