from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image


def look_at(path: Path) -> tuple[np.ndarray, int]:
    """The pixels (height, width, 3) of a picture, and how many colours it has."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    return pixels, len(np.unique(pixels.reshape(-1, 3), axis=0))


@pytest.fixture
def horseshoe() -> tuple[np.ndarray, np.ndarray]:
    """Features (300, 16) along three quarters of a circle, and where on it (300,)."""
    rng = np.random.default_rng(0)
    ages = rng.integers(1, 90, 300).astype(np.float32)
    angle = ages / 90 * 1.5 * np.pi
    plane = np.stack([2 * np.cos(angle), np.sin(angle)], axis=1)
    features = plane @ rng.normal(size=(2, 16)) + rng.normal(size=(300, 16)) / 20
    return features.astype(np.float32), ages


@pytest.fixture
def figures(monkeypatch):
    """The figures that were saved."""
    seen = []
    original = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (seen.append(self), original(self, *a, **k)))
    return seen


@pytest.fixture
def picture():
    return look_at
