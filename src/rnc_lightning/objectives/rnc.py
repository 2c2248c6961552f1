"""Rank-N-Contrast (Zha et al., NeurIPS 2023, arXiv 2210.01189): features in the order of their labels.

With s_ij = sim(v_i, v_j) / tau, label distances d_ij, S_ij = {k != i : d_ik >= d_ij} and n rows,

    L = 1/(n(n-1)) sum_i sum_{j != i} (log sum_{k in S_ij} exp s_ik - s_ij)

Ties of d_ij, and j itself, are in S_ij. With `positives` = K only the K nearest in label to i are taken as j, while
S_ij stays as it is, and the mean is over these nK pairs. Time is that of a few n x n passes and two or three products
with the features, O(n^2 F); the gradient is closed-form, so no graph over n x n values is kept.
"""

import math

import torch
from torch import Tensor, nn

from rnc_lightning.numerics import distributed
from rnc_lightning.objectives._rnc_core import RnCFunction
from rnc_lightning.objectives._rnc_ranks import LabelRanks, loss_floor
from rnc_lightning.objectives._rnc_similarity import SIMILARITIES
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
        features: Features (B, V, F), V views of each sample, V >= 1; or flat (N, F). Half precision is computed in
            float32, float64 in float64, whatever autocast and the matmul precision say. Float32 goes over to float64
            by itself where it would not do, as with features 10^4 apart.
        targets: Targets (B,) or (B, D), one per sample, not per view; for flat features (N,) or (N, D). They are
            looked at on the CPU, so that those on a GPU cost one synchronisation.
        temperature: tau > 0; the paper's is 2.
        similarity: "negative_l2" (the paper's), "negative_l1" or "cosine".
        target_distance: "l1", "l2", "angular" or "angular_degrees" (pitch and yaw), or a function from targets (m, D)
            and (n, D), float64, to distances (m, n).
        tie_tolerance: In label units. S_ij is {k != i : d_ik >= d_ij - tie_tolerance}, decided in float64. With 0
            ties are equal distances, computed from the labels as they are given: in float64, 0.3 - 0.2 and 0.2 - 0.1
            differ, and about 1e-6 makes multiples of 0.1 tie as they should.
        chunk_size: Number of anchor rows handled at a time; memory is then O(chunk_size * n), whole samples at
            least. None chooses: about 128 MB of working space, and the n x n weights as long as they take no more
            than 1 GB.
        share: (k, W) takes the anchors of the k-th of W shares, from 0 up, against all rows: the loss is the sum over
            the shares, and each costs about 1/W of it. For batches that are spread over processes.
        positives: K, how many rows are positives for an anchor: those nearest in label, its own other views first.
            Negatives stay as they are. Ties at the K-th place share what is left of K equally, each with a weight
            below 1, so that the order of the batch plays no part. With a tolerance rows tie where the least label
            distance from the anchor (its own 0 among them) that is >= d_ij - tie_tolerance is the same. None, or
            n - 1 and more, takes all rows.

    Returns:
        The loss, a scalar, float64 for float64 features and else float32. One or two rows have loss 0 and gradient
        0. NaN features give NaN. Only first derivatives exist.

    Raises:
        ValueError: For targets that are NaN or infinite, for shapes that do not fit, for a temperature, chunk_size or
            number of positives that is not above 0, a negative tie_tolerance, a share that is none, or an unknown
            similarity or distance.

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
        raise ValueError(f"features must be (B, V, F) or (N, F), none of them 0, got {tuple(features.shape)}")
    views = features.shape[1] if features.dim() == 3 else 1
    checked = _check_targets(targets, len(features))
    rows = len(features) * views
    if rows <= 2:  # each S_ij is {j}, if there is a j at all
        return features.float().sum() * 0.0 if features.dtype != torch.float64 else features.sum() * 0.0
    ranks = LabelRanks(checked, views, distance, tie_tolerance, features.device, _limit(positives, rows))
    with_gradient = features.requires_grad and torch.is_grad_enabled()
    loss: Tensor = RnCFunction.apply(
        features.reshape(-1, features.shape[-1]),
        ranks,
        SIMILARITIES[similarity],
        float(temperature),
        chunk_size,
        share,
        with_gradient,
    )
    return loss


def rnc_loss_floor(
    targets: Tensor,
    views: int = 1,
    *,
    target_distance: str | TargetDistance = "l1",
    tie_tolerance: float = 0.0,
    positives: int | None = None,
) -> Tensor:
    """The least value L* that the loss can come to on these targets, whatever the features.

    L* = 1/(n(n-1)) sum_i sum_m n_im log n_im, where n_im is how many of the other rows share the m-th distinct label
    distance from row i (the paper's theorems 1 and 2). Above 0 wherever there are ties, so log `loss - L*`. It looks
    at distinct labels only, and so costs little beside the loss.

    Args:
        targets: Targets (B,) or (B, D), one per sample.
        views: Views of each sample; the rows are repeated that often.
        target_distance: As for `rnc_loss`.
        tie_tolerance: As for `rnc_loss`. Rows then share a group where their S_ij are one and the same set. The loss
            never falls below the value; it comes arbitrarily close where the tolerance joins distances into groups
            that lie further apart than the tolerance.
        positives: As for `rnc_loss`. With K of them L* = 1/(nK) sum_i sum_m k_im log n_im, where k_im is how many of
            the m-th group's n_im rows count as positives, a part of a row in each of those at the K-th place.

    Returns:
        L*, a float64 scalar on the targets' device; 0 for a single row.

    Raises:
        ValueError: For targets that are NaN or infinite, for shapes that do not fit, views or positives below 1, a
            negative tie_tolerance, or an unknown distance.

    >>> rnc_loss_floor(torch.tensor([1.0, 2.0, 4.0])).item()
    0.0
    >>> round(rnc_loss_floor(torch.tensor([1.0, 2.0, 4.0]), views=2).item() / torch.tensor(2.0).log().item(), 6)
    0.8
    """
    _check_tolerance(tie_tolerance)
    _check_positives(positives)
    distance = resolve_target_distance(target_distance)
    if views < 1:
        raise ValueError(f"views must be at least 1, got {views}")
    checked = _check_targets(targets, None)
    rows = len(checked) * views
    if rows == 1:
        return torch.zeros((), dtype=torch.float64, device=targets.device)
    return loss_floor(checked, views, distance, tie_tolerance, _limit(positives, rows)).to(targets.device)


class RnCLoss(nn.Module):
    """Rank-N-Contrast loss as a module; see `rnc_loss` for the arguments.

    Where a batch is spread over processes (a process group is initialised, as under DDP), it is the loss of the whole
    batch: features and targets of all processes are gathered, each process takes its share of the anchors, and the
    gradient that DDP averages is that of one process with the whole batch. Processes may have different numbers of
    samples, but all must call it. `gather=False` leaves each process to its own part of the batch, another loss.
    `positives` are those in the gathered batch.

    Raises:
        ValueError: If an argument is out of its range or unknown.

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
        tie_tolerance: float = 0.0,
        gather: bool = True,
        positives: int | None = None,
    ) -> None:
        super().__init__()
        _check_settings(temperature, similarity, tie_tolerance, chunk_size, positives)
        resolve_target_distance(target_distance)
        self.temperature = temperature
        self.similarity = similarity
        self.target_distance = target_distance
        self.chunk_size = chunk_size
        self.tie_tolerance = tie_tolerance
        self.gather = gather
        self.positives = positives

    def forward(self, features: Tensor, targets: Tensor) -> Tensor:
        """The loss of features (B, V, F) or (N, F) with targets (B,) or (B, D)."""
        if not self.gather or distributed.world_size() == 1:
            return self._loss(features, targets)
        everything = distributed.gather_rows(features), distributed.gather_rows(targets.detach())
        return distributed.sum_shares(self._loss(*everything, distributed.share()))

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
        """The least value that this loss can come to on the targets; see `rnc_loss_floor`."""
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
        """The settings, as shown by `print(module)`."""
        distance = self.target_distance if isinstance(self.target_distance, str) else "callable"
        return (
            f"temperature={self.temperature}, similarity={self.similarity}, target_distance={distance}, "
            f"chunk_size={self.chunk_size}, tie_tolerance={self.tie_tolerance}, gather={self.gather}, "
            f"positives={self.positives}"
        )


def _check_settings(
    temperature: float, similarity: str, tie_tolerance: float, chunk_size: int | None, positives: int | None
) -> None:
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"temperature must be a positive number, got {temperature}; the paper uses 2")
    if similarity not in SIMILARITIES:
        names = ", ".join(repr(name) for name in SIMILARITIES)
        raise ValueError(f"similarity must be one of {names}, got {similarity!r}")
    if chunk_size is not None and (isinstance(chunk_size, bool) or int(chunk_size) != chunk_size or chunk_size < 1):
        raise ValueError(f"chunk_size must be a whole number of rows from 1 up, or None, got {chunk_size}")
    _check_tolerance(tie_tolerance)
    _check_positives(positives)


def _limit(positives: int | None, rows: int) -> int | None:
    """How many of the other rows are positives, None for all of them."""
    return None if positives is None or positives >= rows - 1 else int(positives)


def _check_positives(positives: int | None) -> None:
    if positives is not None and (isinstance(positives, bool) or int(positives) != positives or positives < 1):
        raise ValueError(f"positives must be a whole number of rows from 1 up, or None for all, got {positives}")


def _check_tolerance(tie_tolerance: float) -> None:
    if not (math.isfinite(tie_tolerance) and tie_tolerance >= 0):
        raise ValueError(f"tie_tolerance must be a number from 0 up, in label units, got {tie_tolerance}")


def _check_targets(targets: Tensor, samples: int | None) -> Tensor:
    """Targets as (B, D) float64 on the CPU."""
    if not isinstance(targets, Tensor) or targets.is_complex() or targets.dtype == torch.bool:
        raise ValueError(f"targets must be a tensor of real numbers, got {_describe(targets)}")
    if targets.dim() not in (1, 2) or 0 in targets.shape:
        raise ValueError(f"targets must be (B,) or (B, D), none of them 0, got {tuple(targets.shape)}")
    if samples is not None and len(targets) != samples:
        raise ValueError(
            f"targets must have one row per sample: features have {samples}, targets {len(targets)} "
            "(do not repeat them for the views of features (B, V, F))"
        )
    checked = targets.detach().to("cpu", torch.float64)
    if not bool(checked.isfinite().all()):
        raise ValueError("targets must be finite, got NaN or infinity; drop the samples without a label")
    return checked[:, None] if checked.dim() == 1 else checked


def _describe(value: object) -> str:
    return str(value.dtype) if isinstance(value, Tensor) else type(value).__name__
