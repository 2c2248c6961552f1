"""FDS: the published numbers, and epochs against statistics computed from all features at once."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rnc_lightning.regularizers.fds import FDS, calibrate, smooth_over_bins
from rnc_lightning.regularizers.smoothing import smoothing_window
from rnc_lightning.targets import TargetSpec

AGES = TargetSpec({"age": {"low": 0, "high": 7}})


def samples(seed: int, labels: list[int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    y = torch.tensor(labels).repeat(6)
    z = torch.randn(len(y), 3, generator=generator) * (1 + y[:, None]) + y[:, None]
    return z, y[:, None].float()


def of_bin(z: Tensor, y: Tensor, label: int) -> tuple[Tensor, Tensor]:
    rows = z[y[:, 0] == label].double()
    return rows.mean(0), rows.var(0, unbiased=True)


@pytest.mark.parametrize(("variance", "expected"), [(4.0, 3.0), (100.0, 2.632456)])
def test_the_published_oracles(variance: float, expected: float) -> None:
    one = torch.ones(1, 1)
    found = calibrate(3 * one, one, variance * one, 2 * one, one)
    assert found.item() == pytest.approx(expected, abs=1e-6)


def test_equal_statistics_and_no_variance_change_nothing() -> None:
    z = torch.randn(4, 3)
    torch.testing.assert_close(calibrate(z, z * 0 + 2, z * 0 + 3, z * 0 + 2, z * 0 + 3), z)
    assert torch.equal(calibrate(z, z * 0, z * 0, z * 0 + 9, z * 0 + 9), z)


def test_smoothing_reflects_at_the_ends_and_keeps_what_is_constant() -> None:
    window = smoothing_window("gaussian", 5, 2.0)
    window = window / window.sum()
    assert window.tolist() == pytest.approx([0.186251, 0.205248, 0.217003, 0.205248, 0.186251], abs=1e-6)
    values = torch.randn(8, 3, dtype=torch.float64)
    everything = torch.ones(8, dtype=torch.bool)
    padded = F.pad(values.T[:, None], (2, 2), mode="reflect")
    torch.testing.assert_close(
        smooth_over_bins(values, everything, window), F.conv1d(padded, window[None, None])[:, 0].T
    )
    some = torch.tensor([1, 1, 0, 1, 0, 0, 1, 1]).bool()
    constant = torch.where(some[:, None], 2.0, 77.0).expand(8, 3).double()
    torch.testing.assert_close(smooth_over_bins(constant, some, window), constant)


def test_three_epochs_are_those_of_the_paper() -> None:
    """Nothing in the first two; then the statistics of the epoch before last; running ones by their momentum."""
    fds, window = FDS(3, AGES), smoothing_window("gaussian", 5, 2.0)
    window = window / window.sum()
    labels = [1, 2, 3, 4, 7]
    epochs = [samples(seed, labels) for seed in range(4)]
    running: dict[int, tuple[Tensor, Tensor]] = {}
    before_last: dict[int, tuple[Tensor, Tensor]] = {}
    for epoch, (z, y) in enumerate(epochs):
        found = fds(z, y)
        if epoch < 2:
            assert torch.equal(found, z)
        else:
            means, variances = torch.zeros(8, 3).double(), torch.ones(8, 3).double()
            for label, (mean, variance) in before_last.items():
                means[label], variances[label] = mean, variance
            filled = torch.zeros(8, dtype=torch.bool)
            filled[labels] = True
            smooth = [smooth_over_bins(values, filled, window) for values in (means, variances)]
            rows = y[:, 0].long()
            expected = calibrate(z.double(), means[rows], variances[rows], smooth[0][rows], smooth[1][rows])
            torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)
            assert (found - z).abs().max() > 0.1
        for rows, targets in zip(z.split(7), y.split(7), strict=True):  # in batches, as in training
            fds.collect(rows, targets)
        fds.end_epoch()
        before_last = dict(running)
        for label in labels:
            mean, variance = of_bin(z, y, label)
            old = running.get(label)
            running[label] = (
                (mean, variance) if old is None else (0.1 * mean + 0.9 * old[0], 0.1 * variance + 0.9 * old[1])
            )


def test_evaluation_leaves_features_as_they_are() -> None:
    fds = FDS(3, AGES)
    z, y = samples(0, [1, 2])
    for _ in range(3):
        fds.collect(z, y)
        fds.end_epoch()
    assert not torch.equal(fds(z, y), z)
    assert torch.equal(fds.eval()(z, y), z)


def test_bins_with_one_sample_or_none_are_safe() -> None:
    fds = FDS(3, AGES)
    z, y = torch.randn(3, 3), torch.tensor([[0.0], [1.0], [99.0]])
    for _ in range(3):
        fds.collect(z, y)
        fds.end_epoch()
    everything = torch.arange(8.0)[:, None]
    assert torch.isfinite(fds(torch.randn(8, 3), everything)).all()
    assert fds.seen.tolist() == [True, True, False, False, False, False, False, True]


def test_all_that_lasts_is_in_the_state_dict() -> None:
    fds, other = FDS(3, AGES), FDS(3, AGES)
    for seed in range(3):
        z, y = samples(seed, [1, 2, 5])
        fds.collect(z, y)
        fds.end_epoch()
    other.load_state_dict(fds.state_dict())
    assert torch.equal(fds(z, y), other(z, y))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_features_are_summed_in_float64(dtype: torch.dtype) -> None:
    fds = FDS(3, AGES)
    z = (torch.randn(400, 3) + 100).to(dtype)
    fds.collect(z, torch.ones(400, 1))
    fds.end_epoch()
    torch.testing.assert_close(fds.mean[1], z.double().mean(0).float())
    torch.testing.assert_close(fds.variance[1], z.double().var(0).float(), rtol=1e-4, atol=1e-5)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="FDS is defined for one target dimension"):
        FDS(3, TargetSpec({"pitch": {}, "yaw": {}}))
    with pytest.raises(ValueError, match="momentum"):
        FDS(3, AGES, momentum=1.0)
    with pytest.raises(ValueError, match="too wide"):
        FDS(3, AGES, size=17)
