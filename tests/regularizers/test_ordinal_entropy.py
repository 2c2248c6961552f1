"""Ordinal Entropy: oracles and a slow reference of loss and gradient."""

import itertools

import pytest
import torch
from torch import Tensor

from rnc_lightning.regularizers.ordinal_entropy import OrdinalEntropy, ordinal_entropy_terms


def slow(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    labels = sorted({tuple(row) for row in targets.tolist()})
    of = [labels.index(tuple(row)) for row in targets.tolist()]
    centres = []
    for label in range(len(labels)):
        mean = torch.stack([row for row, its in zip(features, of, strict=True) if its == label]).mean(0)
        centres.append(mean / mean.norm())
    pairs = list(itertools.combinations(range(len(labels)), 2))
    apart = [(torch.tensor(labels[a]) - torch.tensor(labels[b])).norm() for a, b in pairs]
    terms = [
        (d - min(apart)) / max(apart) * (centres[a] - centres[b]).norm() for (a, b), d in zip(pairs, apart, strict=True)
    ]
    offs = [row / row.norm() - centres[its] for row, its in zip(features, of, strict=True)]
    lengths = [off.norm() for off in offs if off.norm() > 1e-6]
    zero = features.sum() * 0
    return (-sum(terms) / len(terms) if terms else zero), (sum(lengths) / len(lengths) if lengths else zero)


def test_the_published_oracle() -> None:
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    diversity, tightness = ordinal_entropy_terms(features, torch.tensor([[0.0], [1.0], [3.0]]))
    assert diversity.item() == pytest.approx(-0.601579, abs=1e-6)
    assert tightness.item() == 0


@pytest.mark.parametrize("dimensions", [1, 2])
def test_terms_and_gradients_are_the_slow_ones(dimensions: int) -> None:
    generator = torch.Generator().manual_seed(0)
    leaf = torch.randn(9, 5, generator=generator, dtype=torch.float64).requires_grad_()
    targets = torch.randint(0, 4, (9, dimensions), generator=generator).double()
    for found, expected in zip(ordinal_entropy_terms(leaf, targets), slow(leaf, targets), strict=True):
        torch.testing.assert_close(found, expected)
        gradients = [torch.autograd.grad(value, leaf, retain_graph=True)[0] for value in (found, expected)]
        torch.testing.assert_close(*gradients)
        assert gradients[0].abs().max() > 0


@pytest.mark.parametrize(
    "targets", [torch.ones(4, 1), torch.arange(4.0)[:, None], torch.ones(1, 1)], ids=["one label", "distinct", "one"]
)
def test_batches_with_nothing_to_compare_are_zero_and_finite(targets: Tensor) -> None:
    leaf = torch.randn(len(targets), 1, 3, requires_grad=True)
    loss = OrdinalEntropy()(leaf, targets)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(leaf.grad).all()
    if len(targets) == 1:
        assert float(loss) == 0


def test_equal_features_are_finite() -> None:
    leaf = torch.ones(4, 1, 3, requires_grad=True)
    loss = OrdinalEntropy()(leaf, torch.arange(4.0)[:, None])
    loss.backward()
    assert abs(float(loss)) < 1e-5
    assert torch.isfinite(leaf.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    features = torch.randn(6, 1, 4).to(dtype)
    targets = torch.tensor([[0.0], [0.0], [1.0], [3.0], [3.0], [7.0]])
    found = OrdinalEntropy()(features, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, OrdinalEntropy()(features.float(), targets))


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="tightness_weight"):
        OrdinalEntropy(tightness_weight=-1)
