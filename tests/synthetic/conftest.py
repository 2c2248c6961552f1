"""How much a simple model sees in synthetic data, and what a folder holds."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_predict


@pytest.fixture(scope="session")
def ridge_r2() -> Callable[..., float]:
    """R2 of a ridge regression, each fold predicted from the others; groups stay together."""

    def score(features: NDArray, targets: Sequence[float], groups: Sequence[object] | None = None) -> float:
        folds = _folds(len(targets), groups)
        predicted = cross_val_predict(RidgeCV(np.logspace(-2, 5, 8)), features, targets, cv=folds)
        return float(r2_score(targets, predicted))

    return score


def _folds(count: int, groups: Sequence[object] | None) -> list[tuple[NDArray, NDArray]]:
    values = [str(group) for group in groups] if groups is not None else [str(i) for i in range(count)]
    distinct = sorted(set(values))
    number = {value: i % 5 for i, value in enumerate(np.random.default_rng(0).permutation(distinct))}
    fold = np.array([number[value] for value in values])
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(5)]


@pytest.fixture(scope="session")
def thumbnails() -> Callable[[Sequence[Path]], NDArray]:
    """Images as 16 x 16 pixels in colour."""

    def read(paths: Sequence[Path]) -> NDArray:
        small = [Image.open(path).convert("RGB").resize((16, 16), Image.Resampling.BOX) for path in paths]
        return np.stack([np.asarray(image, dtype=float).ravel() / 255 for image in small])

    return read


@pytest.fixture(scope="session")
def contents() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder with a digest of its bytes."""

    def read(folder: Path) -> dict[str, str]:
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    return read
