"""FDS: features of each label bin take on the mean and variance that neighbouring bins have on average.

Y. Yang et al., Delving into Deep Imbalanced Regression, ICML 2021. With mean m and variance v of the features of a bin,
and m~ and v~ smoothed over neighbouring bins, all of the epoch before last,

    z~ = sqrt(clamp(v~ / v, 0.1, 10)) (z - m) + m~

in training only.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.regularizers.smoothing import Kernel, smoothing_window
from rnc_lightning.targets import TargetSpec

_LEAST_VARIANCE = 1e-10  # of a bin over all dimensions: below it the bin is left alone


def calibrate(
    features: Tensor, mean: Tensor, variance: Tensor, smoothed_mean: Tensor, smoothed_variance: Tensor
) -> Tensor:
    """Features with the smoothed statistics in the place of their own, dimension by dimension.

    Args:
        features: (N, F).
        mean: (N, F), of each one's bin, as all that follow.
        variance: Where it is 0 the feature stays as it is.
        smoothed_mean: What the mean becomes.
        smoothed_variance: What the variance becomes, within a factor of 10.

    >>> one = torch.ones(1, 1)
    >>> calibrate(3 * one, one, 4 * one, 2 * one, one), calibrate(3 * one, one, 100 * one, 2 * one, one)
    (tensor([[3.]]), tensor([[2.6325]]))
    """
    known = variance > 0
    ratio = (smoothed_variance / torch.where(known, variance, 1)).clamp(0.1, 10)
    return torch.where(known, ratio.sqrt() * (features - mean) + smoothed_mean, features)


def smooth_over_bins(values: Tensor, filled: Tensor, window: Tensor) -> Tensor:
    """Weighted mean over neighbouring bins, reflected at the ends; bins without samples take no part.

    Args:
        values: (K, F).
        filled: (K,), whether a bin has samples.
        window: An odd number of weights.

    Returns:
        (K, F); values of bins that are not filled are as they were.
    """
    beside = len(window) // 2
    mask = filled.to(window.dtype)[:, None]
    padded = [_reflected(part.to(window.dtype), beside) for part in (torch.where(filled[:, None], values, 0), mask)]
    sums, weights = (F.conv1d(part.T[:, None], window[None, None])[:, 0].T for part in padded)
    return torch.where(filled[:, None], sums / torch.where(filled[:, None], weights, 1), values).to(values.dtype)


class FDS(nn.Module):
    """Calibration of features in training, with statistics taken at the end of each epoch.

    An epoch's features are summed up by bin (`collect`), over all processes; at its end (`end_epoch`) the running
    statistics of the epoch before are smoothed and used from then on, and this epoch's join the running ones. So
    nothing is calibrated in the first two epochs, as in the released code. Unlike there, features are collected
    before they are calibrated, and bins that have had no samples neither lend nor borrow.

    Args:
        in_features: Width F of the features.
        target: What is regressed, of one dimension; its bins are those of the statistics.
        kernel: Smoothing window, `gaussian`, `triangle` or `laplace`.
        size: Bins of the window, odd.
        sigma: Width of the window, in bins.
        momentum: What the running statistics keep of themselves at each epoch.
        second_pass: Whether the features are those of a pass of its own over the training set at the end of the
            epoch, with the weights of that moment, as in the paper; else those that were trained on during the epoch,
            which cost nothing and are a little older.

    Raises:
        ValueError: For a target of more than one dimension, for which the paper defines nothing; for a range that is
            open; for an argument out of its range.
    """

    mean: Tensor
    variance: Tensor
    used_mean: Tensor
    used_variance: Tensor
    smoothed_mean: Tensor
    smoothed_variance: Tensor
    seen: Tensor
    used: Tensor

    def __init__(
        self,
        in_features: int,
        target: TargetSpec,
        kernel: Kernel = "gaussian",
        size: int = 5,
        sigma: float = 2.0,
        momentum: float = 0.9,
        second_pass: bool = True,
    ) -> None:
        super().__init__()
        target.check_single("FDS")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be from 0 to below 1, got {momentum}")
        count = target.grids[0].count
        window = smoothing_window(kernel, size, sigma)
        if size // 2 >= count:
            raise ValueError(f"size {size} is too wide for the target's {count} bins")
        self.target = target
        self.window = window / window.sum()
        self.momentum = momentum
        self.second_pass = second_pass
        for name in ("", "used_", "smoothed_"):
            self.register_buffer(f"{name}mean", torch.zeros(count, in_features))
            self.register_buffer(f"{name}variance", torch.ones(count, in_features))
        self.register_buffer("seen", torch.zeros(count, dtype=torch.bool))
        self.register_buffer("used", torch.zeros(count, dtype=torch.bool))
        self._sums: tuple[Tensor, Tensor, Tensor] | None = None  # of this epoch and process, so in no checkpoint

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Features (N, F) of targets (N, 1) calibrated, or in evaluation mode as they are."""
        if not self.training:
            return features
        bins = self.target.bins(targets)[:, 0]
        known = self.used[bins] & (self.used_variance[bins].sum(dim=1) >= _LEAST_VARIANCE)
        statistics = (self.used_mean, self.used_variance, self.smoothed_mean, self.smoothed_variance)
        return torch.where(known[:, None], calibrate(features, *(part[bins] for part in statistics)), features)

    def collect(self, features: Tensor, targets: Tensor) -> None:
        """Add features (N, F), not calibrated, to this epoch's sums."""
        values, bins = at_least_float32(features.detach()).double(), self.target.bins(targets)[:, 0]
        if self._sums is None:
            zeros = torch.zeros_like(self.mean, dtype=torch.float64)
            self._sums = (zeros[:, 0].clone(), zeros.clone(), zeros)
        count, total, squares = self._sums
        count.index_add_(0, bins, torch.ones_like(values[:, 0]))
        total.index_add_(0, bins, values)
        squares.index_add_(0, bins, values.square())

    def end_epoch(self) -> None:
        """Use the running statistics as they stand, then let this epoch's sums join them."""
        if self._sums is None:
            return
        count, total, squares = (distributed.sum_over_processes(part) for part in self._sums)
        self._sums = None
        self._use_running_statistics()
        here = count > 0
        n = count.clamp(min=1)[:, None]
        mean = total / n
        variance = ((squares - n * mean.square()) / (n - 1).clamp(min=1)).clamp(min=0)  # unbiased but for one sample
        keep = torch.where(self.seen, self.momentum, 0.0)[:, None]  # a bin's first statistics are taken as they are
        for running, now in ((self.mean, mean), (self.variance, variance)):
            joined = keep * running + (1 - keep) * now.to(running.dtype)
            running.copy_(torch.where(here[:, None], joined, running))
        self.seen |= here

    def _use_running_statistics(self) -> None:
        window = self.window.to(self.mean.device)
        for running, used, smoothed in (
            (self.mean, self.used_mean, self.smoothed_mean),
            (self.variance, self.used_variance, self.smoothed_variance),
        ):
            used.copy_(running)
            smoothed.copy_(smooth_over_bins(running, self.seen, window))
        self.used.copy_(self.seen)


def _reflected(values: Tensor, beside: int) -> Tensor:
    """(K, F) with `beside` more rows at each end, mirrored at the outermost ones."""
    if not beside:
        return values
    return torch.cat([values[1 : beside + 1].flip(0), values, values[-beside - 1 : -1].flip(0)])
