"""Finding what is NaN or infinite."""

import torch
from torch import nn


def find_non_finite(module: nn.Module) -> str | None:
    """Name of the first parameter with a value that is NaN or infinite; None if there is none.

    >>> layer = nn.Linear(1, 1)
    >>> find_non_finite(layer) is None
    True
    >>> _ = nn.init.constant_(layer.bias, float("nan"))
    >>> find_non_finite(layer)
    'bias'
    """
    parameters = ((name, parameter) for name, parameter in module.named_parameters() if parameter.is_floating_point())
    return next((name for name, parameter in parameters if not torch.isfinite(parameter).all()), None)
