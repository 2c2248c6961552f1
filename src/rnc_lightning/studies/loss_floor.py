"""What the paper proves of the Rank-N-Contrast loss, in numbers.

No features bring the loss below its floor L* (theorem 1). Features in the order of their labels bring it as close as
one likes (theorem 2), and a loss that is close enough to L* has its features in that order (theorem 3). Delta-ordered
means: for each anchor a row that is nearer in label is more similar by over 1 / delta (similarities are divided by the
temperature), and rows equally near differ by less than delta, for a delta between 0 and 1.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rnc_lightning.objectives.rnc import rnc_loss, rnc_loss_floor
from rnc_lightning.system.errors import UserError
from rnc_lightning.targets.distances import l1_distance

TEMPERATURE = 2.0
NOISE, ORDERED = "noise", "labels plus noise"
_SAMPLES, _VIEWS, _WIDTH = (8, 32, 128), (1, 2), 16
_INVERSE_DELTAS = range(2, 21)
# Each difference of two of them occurs once, so from any of them no two others are equally far.
_NO_TIES = (1, 2, 4, 8, 13, 21, 31, 45, 66, 81, 97, 123, 148, 182, 204, 252)


def random_batch_excess(seed: int, repeats: int = 20) -> pd.DataFrame:
    """The loss of random batches beside its floor.

    Features are normal noise, or a random direction times the labels plus noise, which comes nearer to the floor; the
    strength of both is random. Labels are numbers from 0 to 100, whole ones (with ties) or not.

    Args:
        seed: Of all that is random.
        repeats: Batches of each kind.

    Returns:
        A row a batch: `features`, `labels`, `samples`, `views`, `loss`, `floor` and `excess`, loss minus floor.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = []
    for samples in _SAMPLES:
        for views in _VIEWS:
            for labels in ("whole", "continuous"):
                for features in (NOISE, ORDERED):
                    for _ in range(repeats):
                        y = 100 * torch.rand(samples, generator=generator, dtype=torch.float64)
                        y = y.round() if labels == "whole" else y
                        x = _random_features(y, views, features == ORDERED, generator)
                        kind = {"features": features, "labels": labels, "samples": samples, "views": views}
                        rows.append({**kind, **_beside_floor(x, y)})
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


def _beside_floor(x: Tensor, y: Tensor) -> dict[str, float]:
    loss = rnc_loss(x, y, temperature=TEMPERATURE).item()
    floor = rnc_loss_floor(y, x.shape[1]).item()
    return {"loss": loss, "floor": floor, "excess": loss - floor}


def ordered_excess() -> pd.DataFrame:
    """The loss of delta-ordered features beside its floor, as 1 / delta grows.

    The features are the labels themselves, on a line and scaled up: 16 labels no two of which are equally far from a
    third, one view, whose floor is 0; and 24 whole numbers from 0 to 9 in two views, with many ties.

    Returns:
        A row a scale: `labels`, `inverse_delta` (the least gap between similarities, so that the features are ordered
        for every delta whose inverse is below it), `tie_spread` (the widest between rows equally near), `loss`,
        `floor`, `excess`, and `bound`, what the excess is at most for such features (see `excess_bound`).
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
            rows.append({"labels": kind, **measured, **_beside_floor(x, y), "bound": excess_bound(distances, gap)})
    return pd.DataFrame(rows)


def order_margins(similarities: Tensor, distances: Tensor) -> tuple[float, float]:
    """How far features are in the order of their labels.

    Args:
        similarities: Of all pairs of rows, divided by the temperature (n, n).
        distances: Of their labels (n, n).

    Returns:
        The least step down in similarity from one label distance to the next, over all anchors, and the widest range
        of similarities at one label distance. The features are delta-ordered for each delta that is above the second
        and whose inverse is below the first.

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
    """What loss - L* is at most, where the features are delta-ordered and rows equally near are equally similar.

    With n_m rows in the m-th group of ties of an anchor, near to far, those of group l > m are less similar by at least
    (l - m) / delta. So a positive of group m adds to log n_m no more than log(1 + x), which is below x, with
    x = sum_{l > m} n_l / n_m exp(-(l - m) / delta); this is summed here.

    Args:
        distances: Of the labels of all pairs of rows (n, n).
        inverse_delta: 1 / delta.
    """
    n, total = len(distances), 0.0
    for anchor in range(n):
        sizes = np.array([len(group) for group in _tie_groups(distances, anchor)], dtype=np.float64)
        steps = np.arange(len(sizes))[None, :] - np.arange(len(sizes))[:, None]
        total += float((sizes * np.exp(-inverse_delta * steps) * (steps > 0)).sum())
    return total / (n * (n - 1))


def _tie_groups(distances: Tensor, anchor: int) -> list[Tensor]:
    """The other rows at each label distance from an anchor, near to far."""
    others = torch.tensor([row for row in range(len(distances)) if row != anchor])
    row = distances[anchor, others]
    return [others[row == value] for value in torch.unique(row)]


def training_history(run: Path) -> pd.DataFrame:
    """How loss minus floor and the order of the features went in a run's stage one.

    Args:
        run: Directory of a run whose first stage has the RnC loss.

    Returns:
        A row an epoch: `epoch`, `excess` and `spearman`, of the validation set's features, NaN in most epochs.

    Raises:
        UserError: Where the run did not log them.
    """
    stage = run / "stages" / "pretrain"
    excess = _column(stage / "metrics.csv", "train/excess", "excess", "only the RnC loss has a floor")
    mend = "train with callbacks.diagnostics.every_n_epochs=1"
    order = _column(stage / "diagnostics.csv", "diagnostics/spearman", "spearman", mend)
    return excess.merge(order, on="epoch", how="outer")


def _column(table: Path, name: str, short: str, mend: str) -> pd.DataFrame:
    if not table.is_file():
        raise UserError(f"{table} does not exist: {mend}")
    found = pd.read_csv(table)
    if name not in found:
        raise UserError(f"{table} has no column {name}: {mend}")
    return found[["epoch", name]].rename(columns={name: short})
