"""Numerical checks of what the paper proves about the Rank-N-Contrast loss.

The loss is never below its floor L* (theorem 1). Features in the order of their labels can bring it arbitrarily close
to L* (theorem 2), and features whose loss is close enough to L* are in that order (theorem 3). Delta-ordered means: for
each anchor, a row that is nearer in label is more similar by more than 1 / delta (similarities are divided by the
temperature), and rows equally near differ by less than delta, for a delta between 0 and 1.
"""

from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnc_lightning.objectives.rnc import rnc_loss, rnc_loss_floor
from rnc_lightning.runs.directory import RunDirectory
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets.distances import l1_distance

TEMPERATURE = 2.0
NOISE, ORDERED = "noise", "labels plus noise"
_SAMPLES, _VIEWS, _WIDTH = (8, 32, 128), (1, 2), 16
_INVERSE_DELTAS = range(2, 21)
# All pairwise differences are distinct, so no two labels are equally far from a third.
_NO_TIES = (1, 2, 4, 8, 13, 21, 31, 45, 66, 81, 97, 123, 148, 182, 204, 252)


def random_batch_excess(seed: int, repeats: int = 20) -> pd.DataFrame:
    """Compute the loss of random batches and its floor.

    Features are normal noise, or a random direction times the labels plus noise, which is closer to the floor; the
    scale of both is random. Labels are numbers from 0 to 100, whole (with ties) or continuous.

    Args:
        seed: Seed of all random numbers.
        repeats: Number of batches of each kind.

    Returns:
        One row per batch: `features`, `labels`, `samples`, `views`, `loss`, `floor` and `excess`, loss minus floor.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    kinds = product(_SAMPLES, _VIEWS, ("whole", "continuous"), (NOISE, ORDERED), range(repeats))
    for samples, views, labels, features, _ in kinds:
        y = 100 * torch.rand(samples, generator=generator, dtype=torch.float64)
        y = y.round() if labels == "whole" else y
        x = _random_features(y, views, features == ORDERED, generator)
        kind = {"features": features, "labels": labels, "samples": samples, "views": views}
        rows.append({**kind, **_loss_and_floor(x, y)})
    return pd.DataFrame(rows)


def _random_features(y: Tensor, views: int, ordered: bool, generator: torch.Generator) -> Tensor:
    shape = (len(y), views, _WIDTH)
    noise = torch.randn(shape, generator=generator, dtype=torch.float64)
    strengths = 10 ** (2 * torch.rand(2, generator=generator, dtype=torch.float64) - 1)  # 0.1 to 10
    if not ordered:
        return strengths[0] * noise
    direction = torch.randn(_WIDTH, generator=generator, dtype=torch.float64)
    line = y[:, None, None] * direction / direction.norm()
    return strengths[0] * line + 0.1 * strengths[1] * noise


def _loss_and_floor(x: Tensor, y: Tensor) -> dict[str, float]:
    loss = rnc_loss(x, y, temperature=TEMPERATURE).item()
    floor = rnc_loss_floor(y, x.shape[1]).item()
    return {"loss": loss, "floor": floor, "excess": loss - floor}


def ordered_excess() -> pd.DataFrame:
    """Compute the loss of delta-ordered features and its floor, as 1 / delta grows.

    The features are the labels themselves, on a line and scaled up: 16 labels no two of which are equally far from a
    third, in one view, with floor 0; and 24 whole numbers from 0 to 9 in two views, with many ties.

    Returns:
        One row per scale: `labels`, `inverse_delta` (the smallest gap between similarities, so that the features are
        ordered for every delta whose inverse is below it), `tie_spread` (the largest gap between rows equally near),
        `loss`, `floor`, `excess`, and `bound`, an upper bound of the excess (see `excess_bound`).
    """
    generator = torch.Generator().manual_seed(0)
    tied = torch.randint(10, (24,), generator=generator).double()
    rows = []
    for kind, y, views in (("no ties", torch.tensor(_NO_TIES).double(), 1), ("ties, two views", tied, 2)):
        repeated = y.repeat_interleave(views)[:, None]
        distances = l1_distance(repeated, repeated)
        for inverse_delta in _INVERSE_DELTAS:
            x = TEMPERATURE * inverse_delta * y[:, None, None].expand(-1, views, 1)
            flat = x.reshape(-1, 1)
            gap, spread = order_margins(-l1_distance(flat, flat) / TEMPERATURE, distances)
            measured = {"inverse_delta": gap, "tie_spread": spread}
            rows.append({"labels": kind, **measured, **_loss_and_floor(x, y), "bound": excess_bound(distances, gap)})
    return pd.DataFrame(rows)


def order_margins(similarities: Tensor, distances: Tensor) -> tuple[float, float]:
    """Measure how clearly features are in the order of their labels.

    Args:
        similarities: Similarities of all pairs of rows, divided by the temperature (n, n).
        distances: Distances of their labels (n, n).

    Returns:
        The smallest decrease in similarity from one label distance to the next, over all anchors, and the largest
        range of similarities at one label distance. The features are delta-ordered for each delta that is above the
        second value and whose inverse is below the first.

    >>> distances = torch.tensor([[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]])
    >>> order_margins(-4 * distances, distances)
    (4.0, 0.0)
    """
    gap, spread = float("inf"), 0.0
    for anchor in range(len(distances)):
        groups = _tie_groups(distances, anchor)
        values = [similarities[anchor, group] for group in groups]
        spread = max([spread, *((value.max() - value.min()).item() for value in values)])
        steps = ((near.min() - far.max()).item() for near, far in pairwise(values))
        gap = min([gap, *steps])
    return gap, spread


def excess_bound(distances: Tensor, inverse_delta: float) -> float:
    """Return an upper bound of loss - L* for delta-ordered features whose equally near rows are equally similar.

    With n_m rows in the m-th group of ties of an anchor, near to far, those of group l > m are less similar by at least
    (l - m) / delta. So a positive of group m contributes at most log(1 + x) in addition to log n_m, which is below x,
    with x = sum_{l > m} n_l / n_m exp(-(l - m) / delta). The bound is the sum of these x.

    Args:
        distances: Distances of the labels of all pairs of rows (n, n).
        inverse_delta: 1 / delta.
    """
    n, total = len(distances), 0.0
    for anchor in range(n):
        sizes = np.array([len(group) for group in _tie_groups(distances, anchor)], dtype=np.float64)
        steps = np.arange(len(sizes))[None, :] - np.arange(len(sizes))[:, None]
        total += float((sizes * np.exp(-inverse_delta * steps) * (steps > 0)).sum())
    return total / (n * (n - 1))


def _tie_groups(distances: Tensor, anchor: int) -> list[Tensor]:
    """Return the indices of the other rows at each label distance from an anchor, near to far."""
    others = torch.tensor([row for row in range(len(distances)) if row != anchor])
    row = distances[anchor, others]
    return [others[row == value] for value in torch.unique(row)]


def training_history(run: Path) -> pd.DataFrame:
    """Read loss minus floor and the ordinality of the features over the epochs of a run's stage one.

    Args:
        run: Directory of a run whose first stage uses the RnC loss.

    Returns:
        One row per epoch: `epoch`, `excess` and `spearman`, the latter of the validation set, NaN if not measured.

    Raises:
        UserError: If the run did not log them.
    """
    stage = RunDirectory(run).stage("pretrain")
    excess = _read_column(stage.history, "train/excess", "excess", "only the RnC loss has a floor")
    fix = "train with callbacks.diagnostics.every_n_epochs=1"
    order = _read_column(stage.diagnostics, "diagnostics/spearman", "spearman", fix)
    return excess.merge(order, on="epoch", how="outer")


def _read_column(table: Path, name: str, short: str, fix: str) -> pd.DataFrame:
    if not table.is_file():
        raise UserError(f"{table} does not exist: {fix}")
    columns = pd.read_csv(table)
    if name not in columns:
        raise UserError(f"{table} has no column {name}: {fix}")
    return columns[["epoch", name]].rename(columns={name: short})
