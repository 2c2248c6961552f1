"""Whether labels are multiples of a number, such as temperatures in tenths of a degree."""

import torch
from torch import Tensor

_CLOSE = 1e-2  # largest deviation from a multiple, in multiples
_ABOVE_ROUNDING = 100  # a resolution below so many rounding errors cannot be distinguished from noise


def label_resolution(labels: Tensor) -> float | None:
    """The largest number of which all differences of labels are multiples, up to the rounding of the labels.

    Args:
        labels: (N,), in the type in which they are stored: rounding errors of float32 are allowed for.

    Returns:
        The number; None if there is none, as for measurements with many digits, or if all labels are equal.

    >>> round(label_resolution(torch.tensor([20.1, 20.7, 19.9, 23.0])), 6)
    0.1
    >>> label_resolution(torch.tensor([2.0, 3.0, 5.0]).sqrt()) is None
    True
    """
    type_ = labels.dtype if labels.is_floating_point() else torch.float64
    values = torch.unique(labels.double())
    if len(values) < 2:
        return None
    rounding = torch.finfo(type_).eps * float(values.abs().max())
    offsets, smallest = values - values[0], float(values.diff().min())
    for divisor in range(1, 11):  # the smallest difference may be a multiple of it
        resolution = smallest / divisor
        if resolution < _ABOVE_ROUNDING * rounding:
            return None
        multiples = round(float(offsets[-1]) / resolution)
        resolution = float(offsets[-1]) / multiples  # the widest difference has the smallest relative error
        counts = offsets / resolution
        if float((counts - counts.round()).abs().max()) < _CLOSE:
            return resolution
    return None
