"""LDS: windows and weights against the published numbers and scipy."""

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d

from rnc_lightning.regularizers.lds import LDS, bin_weights
from rnc_lightning.regularizers.smoothing import smoothing_window
from rnc_lightning.targets import TargetSpec

AGES = TargetSpec({"age": {"low": 0, "high": 6}})
COUNTS = torch.tensor([0, 100, 0, 0, 4, 0, 0])


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        ("gaussian", [0.858285, 0.945828, 1, 0.945828, 0.858285]),
        ("triangle", [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3]),
        ("laplace", [np.exp(-1), np.exp(-0.5), 1, np.exp(-0.5), np.exp(-1)]),
    ],
)
def test_windows(kernel: str, expected: list[float]) -> None:
    window = smoothing_window(kernel, 5, 2.0)  # type: ignore[arg-type]
    assert (window / window.max()).tolist() == pytest.approx(expected, abs=1e-6)


def test_a_narrow_gaussian_is_that_of_the_formula() -> None:
    window = smoothing_window("gaussian", 9, 1.0)
    expected = torch.exp(-(torch.arange(-4.0, 5.0, dtype=torch.float64) ** 2) / 2)
    torch.testing.assert_close(window / window.max(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("window", [None, smoothing_window("gaussian", 5, 2.0)], ids=["plain", "LDS"])
def test_the_published_weights(window: torch.Tensor | None) -> None:
    weights = bin_weights(COUNTS, "sqrt_inverse", window)
    assert weights[[1, 4]].tolist() == pytest.approx([0.8666667, 4.3333333])


@pytest.mark.parametrize("reweighting", ["sqrt_inverse", "inverse"])
@pytest.mark.parametrize("kernel", ["gaussian", "triangle", "laplace"])
def test_weights_are_one_over_the_smoothed_counts(reweighting: str, kernel: str) -> None:
    counts = np.random.default_rng(0).integers(0, 2000, 30)
    window = smoothing_window(kernel, 5, 2.0)  # type: ignore[arg-type]
    scaled = (window / window.max()).numpy()
    rarity = np.sqrt(counts) if reweighting == "sqrt_inverse" else np.clip(counts, 5, 1000).astype(float)
    beyond = 0 if reweighting == "sqrt_inverse" else 5  # what an empty bin counts as
    expected = 1 / convolve1d(rarity, scaled, mode="constant", cval=beyond)
    expected *= counts.sum() / (expected * counts).sum()
    found = bin_weights(torch.from_numpy(counts), reweighting, window)  # type: ignore[arg-type]
    filled = counts > 0
    np.testing.assert_allclose(found.numpy()[filled], expected[filled], rtol=1e-12)


def released_weights(ages: np.ndarray, reweighting: str) -> np.ndarray:
    """Weights of training samples by the procedure of the released code."""
    counts = np.bincount(np.minimum(ages, 120), minlength=121)
    rarity = np.sqrt(counts) if reweighting == "sqrt_inverse" else np.clip(counts, 5, 1000).astype(float)
    smoothed = convolve1d(rarity, [0.858285, 0.945828, 1, 0.945828, 0.858285], mode="constant")
    weights = 1 / smoothed[ages]
    return weights / weights.mean()


@pytest.mark.parametrize(
    ("reweighting", "empty", "close"),
    [("sqrt_inverse", None, 1e-5), ("inverse", [0, 19], 1e-5), ("inverse", None, 5e-3)],
)
def test_the_released_weights_of_ages(reweighting: str, empty: list[int] | None, close: float) -> None:
    """Few samples at both ends: zeros beyond age 101 gave it 1.64 times the released weight with `inverse`."""
    few = [1, 2, 3, 4, 5, 98, 99, 100, 101, 101]
    ages = np.concatenate([few, np.random.default_rng(0).normal(50, 16, 12_000).round().clip(1, 101)]).astype(int)
    lds = LDS(TargetSpec({"age": {"low": 0, "high": 101}}), reweighting, empty_bins=empty)  # type: ignore[arg-type]
    lds.fit_labels(torch.from_numpy(ages)[:, None])
    expected, found = released_weights(ages, reweighting), lds(torch.from_numpy(ages)[:, None]).numpy()
    inner = ages >= 2  # the window of age 1 reaches below the released code's bins, where nothing is added
    np.testing.assert_allclose(found[inner], expected[inner], rtol=close)
    if close < 1e-3:
        np.testing.assert_allclose(found, expected, rtol=close)


def test_the_mean_over_the_training_set_is_one_and_equal_counts_weigh_one() -> None:
    labels = torch.tensor([[1.0]] * 100 + [[4.0]] * 4 + [[5.0]] * 30)
    lds = LDS(AGES)
    assert lds(labels).tolist() == [1.0] * 134  # before it has seen any
    lds.fit_labels(labels)
    assert lds(labels).mean().item() == pytest.approx(1, abs=1e-6)
    assert lds(torch.tensor([[4.0]])) > lds(torch.tensor([[1.0]]))
    torch.testing.assert_close(bin_weights(torch.full((7,), 9)), torch.ones(7, dtype=torch.float64))
    assert "weights" in lds.state_dict()


def test_labels_outside_and_in_empty_bins_have_a_weight() -> None:
    lds = LDS(AGES)
    lds.fit_labels(torch.tensor([[1.0]] * 9 + [[4.0]]))
    assert torch.isfinite(lds(torch.tensor([[-50.0], [0.0], [2.6], [99.0]]))).all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="LDS is defined for one target dimension, this target has pitch, yaw"):
        LDS(TargetSpec({"pitch": {}, "yaw": {}}))
    with pytest.raises(ValueError, match="odd"):
        LDS(AGES, size=4)
    with pytest.raises(ValueError, match="kernel"):
        LDS(AGES, kernel="box")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reweighting"):
        LDS(AGES, reweighting="sqrt")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty_bins must be two numbers"):
        LDS(AGES, empty_bins=[1])
    with pytest.raises(ValueError, match="empty_bins"):
        LDS(AGES, empty_bins=[0, -1])
