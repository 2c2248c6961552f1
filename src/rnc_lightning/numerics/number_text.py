"""Numbers as text with significant digits, for labels of any size."""

import math

_LARGEST, _SMALLEST = 15, -4  # powers of ten that are written out


def format_number(value: float | None, digits: int = 4, trim: bool = False) -> str:
    """A number with at least so many significant digits; digits before the decimal point are never rounded away.

    >>> [format_number(value) for value in (3.27749, 16.8312, 350125.3, -10.2, 0.98285, 1.7e9)]
    ['3.277', '16.83', '350125', '-10.20', '0.9829', '1700000000']
    >>> [format_number(value) for value in (1.23456e-5, 0.0, -2e-300, 1e300, None, math.nan, -math.inf)]
    ['1.235e-05', '0', '-2.000e-300', '1.000e+300', '-', '-', '-inf']
    >>> [format_number(value, trim=True) for value in (2.5, 100.0, 2e-9)]
    ['2.5', '100', '2e-09']

    Args:
        value: The number; None or NaN gives a dash.
        digits: Significant digits, from 1 up.
        trim: Whether to leave out zeros at the end: 2.5 instead of 2.500.
    """
    if value is None or math.isnan(value):
        return "-"
    if value == 0:
        return "0"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    scientific = f"{value:.{digits - 1}e}"
    exponent = int(scientific.partition("e")[2])  # after rounding: 9.9999 is 10.00
    if not _SMALLEST <= exponent < _LARGEST:
        mantissa, _, power = scientific.partition("e")
        return f"{_without_zeros(mantissa)}e{power}" if trim else scientific
    text = f"{value:.{max(digits - 1 - exponent, 0)}f}"
    return _without_zeros(text) if trim else text


def _without_zeros(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
