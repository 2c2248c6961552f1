import numpy as np
import pytest
from figure_fixtures import figures, picture

__all__ = ["figures", "picture"]


@pytest.fixture
def horseshoe() -> tuple[np.ndarray, np.ndarray]:
    """Features (300, 16) along three quarters of a circle, and where on it (300,)."""
    rng = np.random.default_rng(0)
    ages = rng.integers(1, 90, 300).astype(np.float32)
    angle = ages / 90 * 1.5 * np.pi
    plane = np.stack([2 * np.cos(angle), np.sin(angle)], axis=1)
    features = plane @ rng.normal(size=(2, 16)) + rng.normal(size=(300, 16)) / 20
    return features.astype(np.float32), ages
