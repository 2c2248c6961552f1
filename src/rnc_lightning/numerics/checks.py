"""Checks of arguments: each raises a `ValueError` that names the argument, what it must be and what was given."""

import math
from collections.abc import Sequence
from numbers import Integral, Real


def check_whole_number(name: str, value: object, least: int) -> None:
    """Check that an argument is a whole number; booleans are refused.

    Args:
        name: The argument, as the user writes it.
        value: Its value.
        least: The smallest number that is allowed.

    Raises:
        ValueError: For any other value.

    >>> check_whole_number("size", 3, least=1)
    >>> check_whole_number("size", 2.5, least=1)
    Traceback (most recent call last):
    ValueError: size must be a whole number from 1 up, got 2.5
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number from {least} up, got {value}")


def check_finite_number(name: str, value: object, least: float = -math.inf) -> None:
    """Check that an argument is a number, neither infinite nor NaN, and not below `least`; booleans are refused.

    Raises:
        ValueError: For any other value.

    >>> check_finite_number("weight", float("nan"))
    Traceback (most recent call last):
    ValueError: weight must be a finite number, got nan
    >>> check_finite_number("noise", -1.0, least=0)
    Traceback (most recent call last):
    ValueError: noise must be a finite number from 0 up, got -1.0
    """
    if not _is_finite_number(value) or value < least:  # type: ignore[operator]
        bound = "" if least == -math.inf else f" from {least} up"
        raise ValueError(f"{name} must be a finite number{bound}, got {value}")


def check_positive_number(name: str, value: object) -> None:
    """Check that an argument is a finite number above 0; booleans are refused.

    Raises:
        ValueError: For any other value.

    >>> check_positive_number("temperature", 0)
    Traceback (most recent call last):
    ValueError: temperature must be a positive number, got 0
    """
    if not _is_finite_number(value) or value <= 0:  # type: ignore[operator]
        raise ValueError(f"{name} must be a positive number, got {value}")


def check_choice(name: str, value: object, choices: Sequence[str | None]) -> None:
    """Check that an argument is one of a few words; None is called null, as in YAML.

    Args:
        name: The argument, as the user writes it.
        value: Its value.
        choices: At least two.

    Raises:
        ValueError: For any other value.

    >>> check_choice("decode", "mean", ("count", "expected", None))
    Traceback (most recent call last):
    ValueError: decode must be count, expected or null, got 'mean'
    """
    if value not in choices:
        words = ["null" if choice is None else choice for choice in choices]
        raise ValueError(f"{name} must be {', '.join(words[:-1])} or {words[-1]}, got {value!r}")


def _is_finite_number(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
