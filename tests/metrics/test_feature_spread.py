import math
from itertools import combinations, product

import numpy as np
import pytest
import torch

from rnc_lightning.metrics import effective_rank, view_alignment


def _normal(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (2, 3)])
def test_effective_rank_is_its_definition(shape: tuple[int, int]) -> None:
    features = _normal(*shape) * torch.logspace(0, 2, shape[1]) + 50
    values = np.linalg.svd(features.double().numpy() - features.double().numpy().mean(axis=0), compute_uv=False)
    shares = values[values > 1e-9] / values.sum()
    assert effective_rank(features) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()), rel=1e-6)


def test_effective_rank_counts_directions() -> None:
    corners = torch.tensor(list(product([-1.0, 1.0], repeat=3)))
    assert effective_rank(corners) == pytest.approx(3)
    assert effective_rank(1000 * corners + 7) == pytest.approx(3, rel=1e-5)  # neither scale nor place counts
    line = torch.arange(9.0)[:, None] * torch.tensor([[1.0, 2.0, -1.0]])
    assert effective_rank(line) == pytest.approx(1, abs=1e-6)


def test_collapsed_features_have_no_rank() -> None:
    assert effective_rank(torch.full((9, 4), 0.1)) == 0
    assert effective_rank(torch.full((9, 4), 0.1, dtype=torch.float64)) == 0
    rounded = torch.full((9, 4), 0.1)
    rounded[::2] = rounded[::2].nextafter(torch.tensor(1.0))
    assert effective_rank(rounded) == 0
    assert effective_rank(torch.ones(1, 4)) == 0


def test_half_precision_is_widened() -> None:
    features = (_normal(40, 6) * 1e4).half()
    assert effective_rank(features) == pytest.approx(effective_rank(features.double()))


def test_no_rank_is_nan() -> None:
    assert math.isnan(effective_rank(torch.zeros(0, 4)))
    assert math.isnan(effective_rank(torch.tensor([[1.0], [math.nan]])))
    with pytest.raises(ValueError, match="features must be"):
        effective_rank(torch.zeros(3))


@pytest.mark.parametrize("views", [2, 3])
def test_alignment_is_its_definition(views: int) -> None:
    z = _normal(7, views, 5).double()
    within = [float((z[b, v] - z[b, w]).norm()) for b in range(7) for v, w in combinations(range(views), 2)]
    between = [
        float((z[b, v] - z[c, w]).norm())
        for b, c in combinations(range(7), 2)
        for v, w in product(range(views), repeat=2)
    ]
    assert view_alignment(z.float()) == pytest.approx(np.mean(within) / np.mean(between), rel=1e-6)


def test_alignment_is_0_for_equal_views_and_about_1_for_unrelated_ones() -> None:
    z = _normal(200, 2, 16)
    assert view_alignment(z[:, :1].expand(-1, 2, -1)) == 0
    assert view_alignment(z) == pytest.approx(1, abs=0.05)
    assert view_alignment((1000 * z).half()) == pytest.approx(view_alignment(z), rel=1e-3)


def test_alignment_of_nothing_to_compare_is_nan() -> None:
    assert math.isnan(view_alignment(torch.ones(5, 2, 3)))
    assert math.isnan(view_alignment(_normal(5, 1, 3)))
    assert math.isnan(view_alignment(_normal(1, 2, 3)))
    assert math.isnan(view_alignment(torch.full((5, 2, 3), math.inf)))
    with pytest.raises(ValueError, match="features must be"):
        view_alignment(torch.zeros(3, 2))
