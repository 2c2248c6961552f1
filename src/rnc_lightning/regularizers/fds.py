"""FDS: shift and scale the features of each label bin to the smoothed mean and variance of the neighbouring bins.

Y. Yang et al., Delving into Deep Imbalanced Regression, ICML 2021. With mean m and variance v of the features of a bin,
and m~ and v~ smoothed over neighbouring bins, all from the epoch before last,

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

_LEAST_VARIANCE = 1e-10  # summed over the dimensions of a bin; bins below it are not calibrated


def calibrate(
    features: Tensor, mean: Tensor, variance: Tensor, smoothed_mean: Tensor, smoothed_variance: Tensor
) -> Tensor:
    """Replace the statistics of features by the smoothed ones, dimension by dimension.

    Args:
        features: (N, F).
        mean: (N, F), mean of the bin of each sample.
        variance: (N, F), variance of that bin; where it is 0 the feature does not change.
        smoothed_mean: (N, F), the new mean.
        smoothed_variance: (N, F), the new variance, limited to a factor of 10.

    >>> one = torch.ones(1, 1)
    >>> calibrate(3 * one, one, 4 * one, 2 * one, one), calibrate(3 * one, one, 100 * one, 2 * one, one)
    (tensor([[3.]]), tensor([[2.6325]]))
    """
    known = variance > 0
    ratio = (smoothed_variance / torch.where(known, variance, 1)).clamp(0.1, 10)
    return torch.where(known, ratio.sqrt() * (features - mean) + smoothed_mean, features)


def smooth_over_bins(values: Tensor, filled: Tensor, window: Tensor) -> Tensor:
    """Weighted mean over neighbouring bins, reflected at the ends; bins without samples are ignored.

    Args:
        values: (K, F).
        filled: (K,) bool, whether a bin has samples.
        window: An odd number of weights.

    Returns:
        (K, F); values of bins that are not filled do not change.
    """
    half = len(window) // 2
    mask = filled.to(window.dtype)[:, None]
    padded = [_pad_reflected(part.to(window.dtype), half) for part in (torch.where(filled[:, None], values, 0), mask)]
    sums, weights = (F.conv1d(part.T[:, None], window[None, None])[:, 0].T for part in padded)
    return torch.where(filled[:, None], sums / torch.where(filled[:, None], weights, 1), values).to(values.dtype)


class FDS(nn.Module):
    """Calibration of features in training, with statistics computed at the end of each epoch.

    `collect` sums the features of an epoch by bin, over all processes. At its end, `end_epoch` smooths the running
    statistics of the epochs before, uses them from then on, and then updates the running statistics with this epoch.
    So nothing is calibrated in the first two epochs, as in the released code. Unlike the released code, features are
    collected before calibration, and bins that have had no samples are left out of the smoothing.

    Args:
        in_features: Width F of the features.
        target: The target, with one dimension; statistics are kept for each of its bins.
        kernel: Smoothing window: `gaussian`, `triangle` or `laplace`.
        size: Number of bins in the window, odd.
        sigma: Width of the window, in bins.
        momentum: Weight of the old running statistics in the update, from 0 to below 1.
        second_pass: Collect the features in a second pass over the training set at the end of the epoch, with the
            current weights, as in the paper. If false, collect them while training, which costs nothing; they then
            come from slightly older weights.

    Raises:
        ValueError: If the target has more than one dimension (not defined in the paper) or an open range, or an
            argument is out of range.
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
        self._sums: tuple[Tensor, Tensor, Tensor] | None = None  # of this epoch and process, not saved in checkpoints

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Calibrate features (N, F) with targets (N, 1); in evaluation mode return them unchanged."""
        if not self.training:
            return features
        bins = self.target.bins(targets)[:, 0]
        known = self.used[bins] & (self.used_variance[bins].sum(dim=1) >= _LEAST_VARIANCE)
        statistics = (self.used_mean, self.used_variance, self.smoothed_mean, self.smoothed_variance)
        return torch.where(known[:, None], calibrate(features, *(part[bins] for part in statistics)), features)

    def collect(self, features: Tensor, targets: Tensor) -> None:
        """Add features (N, F), before calibration, to the sums of this epoch."""
        values, bins = at_least_float32(features.detach()).double(), self.target.bins(targets)[:, 0]
        if self._sums is None:
            zeros = torch.zeros_like(self.mean, dtype=torch.float64)
            self._sums = (zeros[:, 0].clone(), zeros.clone(), zeros)
        count, total, squares = self._sums
        count.index_add_(0, bins, torch.ones_like(values[:, 0]))
        total.index_add_(0, bins, values)
        squares.index_add_(0, bins, values.square())

    def end_epoch(self) -> None:
        """Start using the current running statistics, then update them with the sums of this epoch."""
        if self._sums is None:
            return
        count, total, squares = (distributed.sum_over_processes(part) for part in self._sums)
        self._sums = None
        window = self.window.to(self.mean.device)
        for running, used, smoothed in (
            (self.mean, self.used_mean, self.smoothed_mean),
            (self.variance, self.used_variance, self.smoothed_variance),
        ):
            used.copy_(running)
            smoothed.copy_(smooth_over_bins(running, self.seen, window))
        self.used.copy_(self.seen)
        filled = count > 0
        n = count.clamp(min=1)[:, None]
        mean = total / n
        variance = ((squares - n * mean.square()) / (n - 1).clamp(min=1)).clamp(min=0)  # unbiased; 0 for one sample
        keep = torch.where(self.seen, self.momentum, 0.0)[:, None]  # the first statistics of a bin are not averaged
        for running, now in ((self.mean, mean), (self.variance, variance)):
            updated = keep * running + (1 - keep) * now.to(running.dtype)
            running.copy_(torch.where(filled[:, None], updated, running))
        self.seen |= filled


def _pad_reflected(values: Tensor, rows: int) -> Tensor:
    """Rows (K, F) with `rows` more at each end, mirrored at the outermost ones."""
    return torch.cat([values[1 : rows + 1].flip(0), values, values[-rows - 1 : -1].flip(0)])
