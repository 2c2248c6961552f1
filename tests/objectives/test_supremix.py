"""SupReMix against mixtures that are really built."""

import contrastive_reference as reference
import pytest
import torch
from torch import Tensor

from rnc_lightning.objectives import supremix
from rnc_lightning.objectives.supremix import SupReMix, supremix_loss
from rnc_lightning.targets import TargetSpec

LABELS = {
    "ties": [3.0, 1.0, 2.0, 2.0, 5.0, 1.0, 9.0],
    "distinct": [3.0, 1.0, 2.5, 2.0, 5.0, 1.5, 9.0],
    "equal": [4.0] * 5,
    "far apart": [0.0, 100.0, 200.0],
    "one": [1.0],
}


def drawn(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, 4, generator=generator, dtype=torch.float64)
    return z, torch.rand(rows, rows, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", LABELS)
@pytest.mark.parametrize("window", [0.0, 1.5, 5.0])
def test_it_is_the_slow_reference(name: str, window: float) -> None:
    labels = LABELS[name]
    z, mixing = drawn(len(labels))
    leaf = z.requires_grad_()
    settings = {"temperature": 0.3, "window": window, "mixing": mixing}
    found = reference.value_and_gradient(supremix_loss(leaf, torch.tensor(labels), **settings), leaf)
    expected = reference.value_and_gradient(reference.supremix(leaf, labels, **settings), leaf)
    assert found[0] == pytest.approx(expected[0], rel=1e-9, abs=1e-12)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-7, atol=1e-9)


def test_chunks_and_shares_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = torch.tensor(LABELS["ties"])
    z, mixing = drawn(len(labels))
    settings = {"window": 5.0, "mixing": mixing}
    expected = supremix_loss(z, labels, **settings)
    torch.testing.assert_close(sum(supremix_loss(z, labels, share=(k, 3), **settings) for k in range(3)), expected)
    monkeypatch.setattr(supremix, "_MOST_NUMBERS", 4)
    torch.testing.assert_close(supremix_loss(z, labels, **settings), expected)


def test_half_precision_and_far_features_are_finite() -> None:
    labels = torch.tensor(LABELS["ties"])
    z, mixing = drawn(len(labels))
    for rows in (z.to(torch.bfloat16), z.float() * 1e8):
        leaf = rows.requires_grad_()
        loss = supremix_loss(leaf, labels, mixing=mixing.float(), temperature=0.05)
        assert loss.dtype == torch.float32
        loss.backward()
        assert torch.isfinite(leaf.grad).all()


def test_the_module_draws_by_the_generator_and_refuses_vectors() -> None:
    target = TargetSpec({"age": {"low": 0, "high": 9}})
    objective = SupReMix(5, target)
    features, ages = torch.randn(4, 2, 5), torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    losses = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        losses.append(float(objective(features, ages)))
    assert losses[0] == losses[1] != losses[2]
    with pytest.raises(ValueError, match="one target dimension"):
        SupReMix(5, TargetSpec({"pitch": {}, "yaw": {}}))
