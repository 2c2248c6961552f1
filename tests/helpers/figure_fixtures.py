"""Fixtures for tests that draw."""

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
def figures(monkeypatch):
    """The figures that were saved."""
    seen = []
    original = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (seen.append(self), original(self, *a, **k)))
    return seen


@pytest.fixture
def picture():
    return look_at
