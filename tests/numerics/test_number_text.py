"""Numbers as text: significant digits for labels of any size."""

import math

import pytest

from rnc_lightning.numerics.number_text import format_number


@pytest.mark.parametrize("power", range(-12, 15))
@pytest.mark.parametrize("mantissa", [1.2345678, -9.99999])
def test_the_text_is_the_number_to_its_digits_and_never_zeros(power: int, mantissa: float) -> None:
    value = mantissa * 10.0**power
    assert float(format_number(value)) == pytest.approx(value, rel=6e-4)
    assert float(format_number(value, digits=9, trim=True)) == pytest.approx(value, rel=1e-8)


def test_rounding_up_to_the_next_power_keeps_the_digits() -> None:
    assert format_number(9.99996) == "10.00"
    assert format_number(0.00999996) == "0.01000"


def test_what_is_not_finite_is_said() -> None:
    assert [format_number(value) for value in (None, math.nan, math.inf, 0.0, -0.0)] == ["-", "-", "inf", "0", "0"]
