"""Transforms of feature vectors (F,). Each factory is a `_target_` in a data set's YAML."""

import torch
from torch import Tensor

from rnc_lightning.datasets.transform import Description, Transform


def augmented_array(noise: float = 0.1, dropout: float = 0.0) -> Transform:
    """Add Gaussian noise to each feature and set some features to 0, the mean of standardised features.

    Args:
        noise: Standard deviation of the noise, in the features' units.
        dropout: Probability that a feature is set to 0. The others are not scaled up.

    Returns:
        A function from features (F,) to features (F,) that draws from torch's generator.

    Raises:
        ValueError: For a negative noise, or a dropout outside [0, 1).
    """
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 up and below 1, got {dropout}")

    def augment(features: Tensor) -> Tensor:
        noisy = features + noise * torch.randn_like(features)
        return torch.where(torch.rand_like(features) < dropout, 0.0, noisy)

    return augment


def plain_array() -> "Unchanged":
    """Features without a change."""
    return Unchanged()


class Unchanged:
    """Copies features (F,)."""

    def __call__(self, features: Tensor) -> Tensor:
        """A copy of features (F,)."""
        return features.clone()

    def describe(self) -> Description:
        """No changes."""
        return Description({}, "They then go into the encoder without further changes.")
