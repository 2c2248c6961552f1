"""Rank-N-Contrast (Zha et al., NeurIPS 2023, arXiv 2210.01189): order features by their labels.

With s_ij = sim(v_i, v_j) / tau, label distances d_ij, S_ij = {k != i : d_ik >= d_ij} and n rows,

    L = 1/(n(n-1)) sum_i sum_{j != i} (log sum_{k in S_ij} exp s_ik - s_ij)

Ties of d_ij, and j itself, are in S_ij. With `positives` = K only the K rows nearest in label to i are used as j; S_ij
does not change, and the mean is over these nK pairs. The time is that of a few passes over n x n values and two or
three products with the features, O(n^2 F). The gradient is in closed form, so no graph over n x n values is kept.
"""

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.numerics.checks import check_finite_number, check_positive_number, check_whole_number
from rnc_lightning.numerics.precision import at_least_float32
from rnc_lightning.objectives._rnc_core import RnCFunction, RnCTask
from rnc_lightning.objectives._rnc_ranks import LabelRanks, loss_floor
from rnc_lightning.objectives._rnc_similarity import SIMILARITIES
from rnc_lightning.targets import TargetSpec
from rnc_lightning.targets.distances import TargetDistance, resolve_target_distance


def rnc_loss(
    features: Tensor,
    targets: Tensor,
    *,
    temperature: float = 2.0,
    similarity: str = "negative_l2",
    target_distance: str | TargetDistance = "l1",
    tie_tolerance: float = 0.0,
    chunk_size: int | None = None,
    share: tuple[int, int] = (0, 1),
    positives: int | None = None,
) -> Tensor:
    """Rank-N-Contrast loss of a batch, with a closed-form gradient for the features.

    Args:
        features: Features (B, V, F), V >= 1 views of each sample; or flat (N, F). Half precision is computed in
            float32, float64 in float64, regardless of autocast and the matmul precision. Float32 is replaced by float64
            where it is not accurate enough, as for features 10^4 apart.
        targets: Targets (B,) or (B, D), one per sample, not per view; for flat features (N,) or (N, D). They are
            processed on the CPU, so targets on a GPU cost one synchronisation.
        temperature: tau > 0; 2 in the paper.
        similarity: "negative_l2" (as in the paper), "negative_l1" or "cosine".
        target_distance: "l1", "l2", "angular" or "angular_degrees" (pitch and yaw), or a function from targets (m, D)
            and (n, D), float64, to distances (m, n).
        tie_tolerance: In label units. S_ij is {k != i : d_ik >= d_ij - tie_tolerance}, evaluated in float64. With 0
            only equal distances tie: 0.3 - 0.2 and 0.2 - 0.1 differ in float64. For labels that are multiples of a
            number q, such as tenths, q/1000 makes them tie, also if they are stored as float32 (1e-6 does not: labels
            of 20 to 50 have rounding errors of 2e-6).
        chunk_size: Number of anchor rows processed at a time (at least one sample); memory is then O(chunk_size * n).
            None uses about 128 MB of working space, plus the n x n weights if they take no more than 1 GB.
        share: (k, W) uses only the k-th of W shares of the anchors, counted from 0, with all rows as candidates: the
            loss is the sum over the shares, and each costs about 1/W. For batches that are spread over processes.
        positives: K, the number of positives of an anchor: the rows nearest in label, its other views first. The
            negatives do not change. Ties at the K-th place share the rest of K equally, each with a weight below 1, so
            the order of the batch does not matter. With a tolerance, rows tie if the smallest label distance from the
            anchor (including its own 0) that is >= d_ij - tie_tolerance is the same. None, or n - 1 and more, uses all
            rows.

    Returns:
        The loss, a scalar, float64 for float64 features and float32 otherwise. One or two rows have loss 0 and gradient
        0. NaN features give NaN. There is no second derivative.

    Raises:
        ValueError: If targets are NaN or infinite, shapes do not match, temperature, chunk_size or positives is not
            above 0, tie_tolerance is negative, the share is not valid, or the similarity or distance is unknown.

    >>> features = torch.tensor([[0.0], [1.0], [3.0]], requires_grad=True)
    >>> loss = rnc_loss(features, torch.tensor([10.0, 20.0, 40.0]))
    >>> loss.backward()
    """
    _check_settings(temperature, similarity, tie_tolerance, chunk_size, positives)
    if not 0 <= share[0] < share[1]:
        raise ValueError(f"share must be (k, W) with 0 <= k < W, got {share}")
    distance = resolve_target_distance(target_distance)
    if not isinstance(features, Tensor) or not features.is_floating_point():
        raise ValueError(f"features must be a floating-point tensor, got {_describe(features)}")
    if features.dim() not in (2, 3) or 0 in features.shape:
        raise ValueError(
            f"features must be (B, V, F) or (N, F) without an empty dimension, got {tuple(features.shape)}"
        )
    views = features.shape[1] if features.dim() == 3 else 1
    checked = _check_targets(targets, len(features))
    rows = len(features) * views
    if rows <= 2:  # each S_ij is {j} or empty
        return at_least_float32(features).sum() * 0.0
    ranks = LabelRanks(checked, views, distance, tie_tolerance, features.device, _limit(positives, rows))
    with_gradient = features.requires_grad and torch.is_grad_enabled()
    task = RnCTask(ranks, SIMILARITIES[similarity], float(temperature), chunk_size, share, with_gradient)
    loss: Tensor = RnCFunction.apply(features.reshape(-1, features.shape[-1]), task)
    return loss


def rnc_loss_floor(
    targets: Tensor,
    views: int = 1,
    *,
    target_distance: str | TargetDistance = "l1",
    tie_tolerance: float = 0.0,
    positives: int | None = None,
) -> Tensor:
    """The lower bound L* of the loss on these targets, over all possible features.

    L* = 1/(n(n-1)) sum_i sum_m n_im log n_im, where n_im is the number of other rows at the m-th distinct label
    distance from row i (theorems 1 and 2 of the paper). It is above 0 if there are ties, so log `loss - L*`. It is
    computed from distinct labels only, which costs little compared with the loss.

    Args:
        targets: Targets (B,) or (B, D), one per sample.
        views: Views of each sample; each row is repeated that often.
        target_distance: As for `rnc_loss`.
        tie_tolerance: As for `rnc_loss`. Rows are in the same group if their S_ij are equal. The loss is never below
            the value; it can come arbitrarily close if the groups are further apart than the tolerance.
        positives: As for `rnc_loss`. L* is then 1/(nK) sum_i sum_m k_im log n_im, where k_im is how many of the n_im
            rows in the m-th group count as positives; rows at the K-th place count in part.

    Returns:
        L*, a float64 scalar on the targets' device; 0 for a single row.

    Raises:
        ValueError: If targets are NaN or infinite, shapes do not match, views or positives is below 1, tie_tolerance
            is negative, or the distance is unknown.

    >>> rnc_loss_floor(torch.tensor([1.0, 2.0, 4.0])).item()
    0.0
    >>> round(rnc_loss_floor(torch.tensor([1.0, 2.0, 4.0]), views=2).item() / torch.tensor(2.0).log().item(), 6)
    0.8
    """
    _check_ties_and_positives(tie_tolerance, positives)
    check_whole_number("views", views, least=1)
    distance = resolve_target_distance(target_distance)
    checked = _check_targets(targets, None)
    rows = len(checked) * views
    if rows == 1:
        return torch.zeros((), dtype=torch.float64, device=targets.device)
    return loss_floor(checked, views, distance, tie_tolerance, _limit(positives, rows)).to(targets.device)


class RnCLoss(nn.Module):
    """Rank-N-Contrast loss as a module; see `rnc_loss` for the arguments.

    If a batch is spread over processes (with a process group, as under DDP), this is the loss of the whole batch:
    features and targets of all processes are gathered, each process computes its share of the anchors, and the gradient
    that DDP averages equals that of one process with the whole batch. Processes may have different numbers of samples,
    but all must call it. `positives` counts rows of the gathered batch. With `gather=False` each process computes the
    loss of its part of the batch alone, which is a different loss. `tie_tolerance=None` is 0 until `use_target` is
    called: labels in tenths then tie as they should, and labels with many digits only when they are equal.

    Raises:
        ValueError: If an argument is out of range or unknown.

    >>> loss = RnCLoss()(torch.zeros(4, 1), torch.tensor([0, 1, 3, 7]))  # equal features: the mean of log |S_ij|
    >>> round(loss.item(), 6)
    0.597253
    """

    def __init__(
        self,
        temperature: float = 2.0,
        similarity: str = "negative_l2",
        target_distance: str | TargetDistance = "l1",
        chunk_size: int | None = None,
        tie_tolerance: float | None = 0.0,
        gather: bool = True,
        positives: int | None = None,
    ) -> None:
        super().__init__()
        _check_settings(temperature, similarity, tie_tolerance or 0.0, chunk_size, positives)
        resolve_target_distance(target_distance)
        self.temperature = temperature
        self.similarity = similarity
        self.target_distance = target_distance
        self.chunk_size = chunk_size
        self._tolerance_of_target = tie_tolerance is None
        self.tie_tolerance = tie_tolerance or 0.0
        self.gather = gather
        self.positives = positives

    def use_target(self, target: TargetSpec) -> None:
        """Take a `tie_tolerance` of None from the target, fitted to the training labels."""
        if self._tolerance_of_target:
            self.tie_tolerance = target.tie_tolerance

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """Loss of features (B, V, F) or (N, F) with targets (B,) or (B, D)."""
        if not self.gather or distributed.world_size() == 1:
            return self._loss(features, targets)
        gathered = distributed.gather_rows(features), distributed.gather_rows(targets.detach())
        return distributed.sum_shares(self._loss(*gathered, distributed.share()))

    def _loss(self, features: Tensor, targets: Tensor, share: tuple[int, int] = (0, 1)) -> Tensor:
        return rnc_loss(
            features,
            targets,
            share=share,
            temperature=self.temperature,
            similarity=self.similarity,
            target_distance=self.target_distance,
            tie_tolerance=self.tie_tolerance,
            chunk_size=self.chunk_size,
            positives=self.positives,
        )

    def floor(self, targets: Tensor, views: int = 1) -> Tensor:
        """Lower bound of this loss on the targets; see `rnc_loss_floor`."""
        if self.gather:
            targets = distributed.gather_rows(targets.detach())
        return rnc_loss_floor(
            targets,
            views,
            target_distance=self.target_distance,
            tie_tolerance=self.tie_tolerance,
            positives=self.positives,
        )

    def extra_repr(self) -> str:
        """The settings, shown by `print(module)`."""
        distance = self.target_distance if isinstance(self.target_distance, str) else "callable"
        return (
            f"temperature={self.temperature}, similarity={self.similarity}, target_distance={distance}, "
            f"chunk_size={self.chunk_size}, tie_tolerance={self.tie_tolerance}, gather={self.gather}, "
            f"positives={self.positives}"
        )


def _check_settings(
    temperature: float, similarity: str, tie_tolerance: float, chunk_size: int | None, positives: int | None
) -> None:
    check_positive_number("temperature", temperature)
    if similarity not in SIMILARITIES:
        names = ", ".join(repr(name) for name in SIMILARITIES)
        raise ValueError(f"similarity must be one of {names}, got {similarity!r}")
    if chunk_size is not None:
        check_whole_number("chunk_size", chunk_size, least=1)
    _check_ties_and_positives(tie_tolerance, positives)


def _limit(positives: int | None, rows: int) -> int | None:
    """Number of positives, None if all other rows are."""
    return None if positives is None or positives >= rows - 1 else positives


def _check_ties_and_positives(tie_tolerance: float, positives: int | None) -> None:
    check_finite_number("tie_tolerance", tie_tolerance, least=0)
    if positives is not None:
        check_whole_number("positives", positives, least=1)


def _check_targets(targets: Tensor, samples: int | None) -> Tensor:
    """Targets as (B, D) float64 on the CPU."""
    if not isinstance(targets, Tensor) or targets.is_complex() or targets.dtype == torch.bool:
        raise ValueError(f"targets must be a tensor of real numbers, got {_describe(targets)}")
    if targets.dim() not in (1, 2) or 0 in targets.shape:
        raise ValueError(f"targets must be (B,) or (B, D) without an empty dimension, got {tuple(targets.shape)}")
    if samples is not None and len(targets) != samples:
        raise ValueError(
            f"targets must have one row per sample: features have {samples}, targets {len(targets)} "
            "(do not repeat them for the views of features (B, V, F))"
        )
    checked = targets.detach().to("cpu", torch.float64)
    if not bool(checked.isfinite().all()):
        raise ValueError("targets must be finite, got NaN or infinity; remove the samples without a label")
    return checked[:, None] if checked.dim() == 1 else checked


def _describe(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
