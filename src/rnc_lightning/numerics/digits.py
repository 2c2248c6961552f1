"""How many digits a number needs when it is printed."""

import math


def significant_digits(low: float, high: float, fewest: int) -> int:
    """Significant digits with which values from a range differ as they would with `fewest` in a range that has 0.

    More than `fewest` for a narrow range far from 0, and for large whole numbers, at most 15.

    >>> significant_digits(0, 100, 4), significant_digits(20240101, 20241231, 4), significant_digits(0, 1e9, 4)
    (4, 8, 10)
    """
    largest = max(abs(low), abs(high))
    if not (math.isfinite(largest) and largest > 0):
        return fewest
    far = math.floor(math.log10(largest / (high - low))) if high > low else 15
    whole = math.floor(math.log10(largest)) + 1
    return min(15, max(fewest, fewest + far, whole))
