import math

import pytest

from rnc_lightning.numerics.digits import significant_digits


@pytest.mark.parametrize(
    ("low", "high", "fewest", "digits"),
    [
        (0, 100, 4, 4),
        (1, 38, 4, 4),
        (-1e-6, 1e-6, 4, 4),
        (1.7e9, 1.7001e9, 4, 10),
        (20240101, 20240140, 4, 9),
        (1000.0, 1000.001, 7, 13),
        (0, 1e20, 7, 15),
        (5, 5, 4, 15),
        (0, 0, 4, 4),
        (math.nan, math.nan, 4, 4),
        (0, math.inf, 4, 4),
    ],
)
def test_digits_follow_from_the_range(low: float, high: float, fewest: int, digits: int) -> None:
    assert significant_digits(low, high, fewest) == digits
