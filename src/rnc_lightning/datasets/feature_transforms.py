"""Transforms of plain features (F,). Each factory is one `_target_` in a data set's YAML."""

import torch
from torch import Tensor

from rnc_lightning.datasets.transform import Description, Transform


def augmented_array(noise: float = 0.1, dropout: float = 0.0) -> Transform:
    """Gaussian noise on each feature, and features set to 0, which is their mean where they are standardised.

    Args:
        noise: Standard deviation of the noise, in the features' units: training standard deviations where they are
            standardised.
        dropout: Probability that a feature is set to 0. Nothing is scaled up for it.

    Returns:
        A function from features (F,) to features (F,), drawing from torch's generator.

    Raises:
        ValueError: For a noise below 0, or a dropout that is no probability below 1.
    """
    if not noise >= 0:
        raise ValueError(f"noise must be 0 or more, got {noise}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be from 0 up and below 1, got {dropout}")

    def augment(features: Tensor) -> Tensor:
        noisy = features + noise * torch.randn_like(features)
        return torch.where(torch.rand_like(features) < dropout, 0.0, noisy)

    return augment


def plain_array() -> "AsTheyAre":
    """Features as they are."""
    return AsTheyAre()


class AsTheyAre:
    """Features (F,) as a tensor of their own."""

    def __call__(self, features: Tensor) -> Tensor:
        """A copy."""
        return features.clone()

    def describe(self) -> Description:
        """Nothing is done."""
        return Description({}, "They go into the encoder as they then are.")
