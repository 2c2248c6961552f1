"""SimCLR and SupCon: oracles, a slow reference, and two maintained packages."""

import math

import contrastive_reference as reference
import pytest
import torch
from torch import Tensor

from rnc_lightning.objectives.simclr import SimCLR, nt_xent_loss
from rnc_lightning.objectives.supcon import SupCon, supcon_loss
from rnc_lightning.targets import TargetSpec


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, 0.551445), (0.5, 0.239545)])
def test_two_orthogonal_samples(temperature: float, expected: float) -> None:
    views = torch.eye(2)[:, None].expand(2, 2, 2)
    assert nt_xent_loss(views, temperature=temperature).item() == pytest.approx(expected, abs=1e-6)


def test_equal_vectors_give_the_logarithm_of_all_others() -> None:
    assert nt_xent_loss(torch.ones(4, 2, 3)).item() == pytest.approx(math.log(7), abs=1e-6)
    same_class = torch.zeros(4, dtype=torch.int64)
    assert supcon_loss(torch.ones(4, 2, 3), same_class).item() == pytest.approx(1.945910, abs=1e-6)


def test_scale_and_order_of_views_do_not_matter() -> None:
    z = normal(5, 2, 3)
    expected = nt_xent_loss(z)
    torch.testing.assert_close(nt_xent_loss(z.flip(1)), expected)
    torch.testing.assert_close(nt_xent_loss(z * torch.rand(5, 2, 1, dtype=torch.float64).add(0.1)), expected)


def test_isolated_anchors_do_not_count() -> None:
    """Section 4.2: three orthogonal rows with classes 0, 0, 1."""
    assert supcon_loss(torch.eye(3)[:, None], torch.tensor([0, 0, 1]), temperature=1.0).item() == pytest.approx(
        0.693147, abs=1e-6
    )


@pytest.mark.parametrize("views", [1, 2, 3])
@pytest.mark.parametrize(
    "classes", [[0, 1, 2, 3, 4], [0, 0, 1, 1, 2], [3, 3, 3, 3, 3]], ids=["unique", "ties", "one class"]
)
def test_supcon_is_the_slow_reference(views: int, classes: list[int]) -> None:
    leaf = normal(5, views, 4).requires_grad_()
    if views == 1 and len(set(classes)) == 5:
        assert float(supcon_loss(leaf, torch.tensor(classes))) == 0  # no anchor at all
        return
    found = reference.value_and_gradient(supcon_loss(leaf, torch.tensor(classes), temperature=0.3), leaf)
    expected = reference.value_and_gradient(reference.supcon(leaf, classes, 0.3), leaf)
    assert found[0] == pytest.approx(expected[0], rel=1e-10)
    torch.testing.assert_close(found[1], expected[1], rtol=1e-8, atol=1e-10)


def test_supcon_of_unique_labels_is_nt_xent() -> None:
    z = normal(6, 2, 4)
    torch.testing.assert_close(supcon_loss(z, torch.arange(6), temperature=0.5), nt_xent_loss(z, temperature=0.5))


def test_shares_add_up() -> None:
    z, classes = normal(5, 2, 3), torch.tensor([0, 0, 1, 2, 2])
    parts = [supcon_loss(z, classes, share=(k, 3)) for k in range(3)]
    torch.testing.assert_close(sum(parts), supcon_loss(z, classes))


def test_against_pytorch_metric_learning() -> None:
    from pytorch_metric_learning.losses import NTXentLoss, SupConLoss

    z, classes = normal(6, 2, 4, dtype=torch.float32), torch.tensor([0, 0, 1, 2, 2, 2])
    rows = z.flatten(0, 1)
    supcon = SupConLoss(temperature=0.2)(rows, classes.repeat_interleave(2))
    torch.testing.assert_close(supcon_loss(z, classes, temperature=0.2), supcon, rtol=1e-5, atol=1e-6)
    nt_xent = NTXentLoss(temperature=0.2)(rows, torch.arange(6).repeat_interleave(2))
    torch.testing.assert_close(nt_xent_loss(z, temperature=0.2), nt_xent, rtol=1e-5, atol=1e-6)


def test_against_lightly() -> None:
    from lightly.loss import NTXentLoss

    z = normal(6, 2, 4, dtype=torch.float32).requires_grad_()
    theirs = reference.value_and_gradient(NTXentLoss(temperature=0.5)(z[:, 0], z[:, 1]), z)
    ours = reference.value_and_gradient(nt_xent_loss(z), z)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-5)
    torch.testing.assert_close(ours[1], theirs[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    z = normal(8, 2, 4, dtype=torch.float32).to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = nt_xent_loss(z, temperature=0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, nt_xent_loss(z.detach().float(), temperature=0.1), rtol=1e-6, atol=0)
    loss.backward()
    assert torch.isfinite(z.grad).all()


def test_far_features_and_one_sample_are_finite() -> None:
    far = (normal(4, 2, 3, dtype=torch.float32) * 1e10).requires_grad_()
    nt_xent_loss(far, temperature=0.01).backward()
    assert torch.isfinite(far.grad).all()
    one = normal(1, 2, 3).requires_grad_()
    loss = nt_xent_loss(one)
    loss.backward()
    assert float(loss) == pytest.approx(0, abs=1e-12)
    assert one.grad.abs().max() < 1e-9
    assert float(supcon_loss(normal(1, 1, 3), torch.tensor([0]))) == 0


def test_classes_are_the_targets_bins() -> None:
    one = TargetSpec({"age": {"low": 0, "high": 4}})
    objective = SupCon(6, one)
    features, ages = normal(4, 2, 6, dtype=torch.float32), torch.tensor([[0.2], [0.4], [3.9], [4.4]])
    z = objective.projector(features)
    torch.testing.assert_close(objective(features, ages), supcon_loss(z, torch.tensor([0, 0, 4, 4])))
    two = TargetSpec({"pitch": {"low": 0, "high": 2}, "yaw": {"low": 0, "high": 3}})
    labels = torch.tensor([[1.0, 2.0], [1.2, 2.4], [2.0, 1.0], [1.0, 3.0]])
    assert two.classes(labels).tolist() == [6, 6, 9, 7]
    assert SupCon(6, two)(features, labels).isfinite()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="two views"):
        nt_xent_loss(torch.ones(3, 1, 2))
    with pytest.raises(ValueError, match="temperature"):
        SimCLR(4, temperature=0)
    with pytest.raises(ValueError, match="low and high"):
        SupCon(4, TargetSpec({"age": {}}))
    with pytest.raises(ValueError, match=r"\(B, V, P\)"):
        supcon_loss(torch.ones(3, 2), torch.zeros(3))
