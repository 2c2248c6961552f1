"""Checks of arguments."""

import math

import numpy as np
import pytest

from rnc_lightning.numerics.checks import check_choice, check_finite_number, check_positive_number, check_whole_number


@pytest.mark.parametrize("value", [1, 7, np.int64(3)])
def test_whole_numbers_pass(value: object) -> None:
    check_whole_number("size", value, least=1)


@pytest.mark.parametrize("value", [0, -1, True, 1.0, 2.5, "3", None, math.nan])
def test_anything_but_a_whole_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^size must be a whole number from 1 up, got "):
        check_whole_number("size", value, least=1)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, math.inf, -math.inf])
def test_anything_but_a_finite_number_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match=r"^weight must be a finite number, got "):
        check_finite_number("weight", value)
    with pytest.raises(ValueError, match=r"^weight must be a positive number, got "):
        check_positive_number("weight", value)


def test_finite_numbers_pass_down_to_the_least() -> None:
    check_finite_number("weight", -2)
    check_finite_number("weight", np.float32(0.5), least=0)
    check_finite_number("weight", 0, least=0)
    check_positive_number("weight", 1e-300)


@pytest.mark.parametrize("value", [0, -0.0, -1])
def test_zero_and_less_are_not_positive(value: float) -> None:
    with pytest.raises(ValueError, match=r"^weight must be a positive number, got "):
        check_positive_number("weight", value)


def test_a_number_below_the_least_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^weight must be a finite number from 0 up, got -0\.1$"):
        check_finite_number("weight", -0.1, least=0)


def test_a_choice_is_one_of_the_words() -> None:
    check_choice("decode", "count", ("count", "expected"))
    check_choice("decode", None, ("count", None))
    with pytest.raises(ValueError, match=r"^decode must be count or null, got 'x'$"):
        check_choice("decode", "x", ("count", None))
