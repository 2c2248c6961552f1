"""ConR: its oracles and a slow reference of loss and gradient."""

import math

import pytest
import torch
from torch import Tensor

from rnc_lightning.regularizers.conr import ConR, Reading, conr_loss


def slow(
    features: Tensor,
    y: list[float],
    guesses: list[float],
    w: float,
    t: float,
    e: float,
    released: bool = False,
    weights: list[float] | None = None,
) -> Tensor:
    z = features / features.norm(dim=1, keepdim=True)
    everyone = range(len(z))
    total = features.sum() * 0
    for i in everyone:
        positives = [j for j in everyone if j != i and abs(y[i] - y[j]) <= w]
        negatives = [j for j in everyone if abs(y[i] - y[j]) > w and abs(guesses[i] - guesses[j]) <= w]
        if not positives or not negatives:
            continue
        own = 1.0 if weights is None else weights[i]
        near = sum(((z[i] @ z[j]) / t).exp() if j in positives else float(released) for j in everyone)
        pushed = sum(own * math.exp(e * abs(y[i] - y[j])) * ((z[i] @ z[j]) / t).exp() for j in negatives)
        logs = [torch.log(((z[i] @ z[j]) / t).exp() / (near + pushed)) for j in positives]
        total = total - own * sum(logs) / len(logs)
    return total / len(z)


def test_the_published_oracles() -> None:
    z = torch.eye(2).repeat_interleave(2, 0)
    y = torch.tensor([[0.0], [0.0], [5.0], [5.0]])
    near = torch.tensor([[1.0], [1.0], [1.5], [1.5]])
    assert conr_loss(z, y, near, temperature=1.0).item() == pytest.approx(0.572945, abs=1e-6)
    assert conr_loss(z, y, near * 100, temperature=1.0).item() == 0


def test_the_released_oracle_adds_one_for_each_of_the_three_that_are_not_positive() -> None:
    z = torch.eye(2).repeat_interleave(2, 0)
    y, near = torch.tensor([[0.0], [0.0], [5.0], [5.0]]), torch.tensor([[1.0], [1.0], [1.5], [1.5]])
    released = conr_loss(z, y, near, temperature=1.0, reading="released").item()
    assert released == pytest.approx(1.056790, abs=1e-6)
    assert released == pytest.approx(math.log(math.e + 3 + 2 * math.exp(0.05)) - 1, abs=1e-6)
    assert conr_loss(z, y, near * 100, temperature=1.0, reading="released").item() == 0


WEIGHTS = [0.5, 2.0, 1.0, 0.7, 3.0, 0.2, 1.5, 4.0]


@pytest.mark.parametrize("reading", ["paper", "released"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_loss_and_gradient_are_the_slow_ones(reading: Reading, weights: list[float] | None) -> None:
    generator = torch.Generator().manual_seed(0)
    leaf = torch.randn(8, 4, generator=generator, dtype=torch.float64).requires_grad_()
    y, guesses = [0.0, 0.5, 3.0, 3.0, 7.0, 7.5, 20.0, 2.0], [1.0, 4.0, 1.2, 4.4, 4.1, 9.0, 8.5, 0.5]
    columns = torch.tensor(y)[:, None], torch.tensor(guesses)[:, None]
    given = None if weights is None else torch.tensor(weights)
    found = conr_loss(leaf, *columns, similar=1.0, temperature=0.5, push=0.05, reading=reading, weights=given)
    expected = slow(leaf, y, guesses, 1.0, 0.5, 0.05, reading == "released", weights)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(value, leaf)[0] for value in (found, expected)]
    torch.testing.assert_close(*gradients)
    assert gradients[0].abs().max() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_batches_without_a_pair_are_zero_and_others_finite(dtype: torch.dtype) -> None:
    leaf = (torch.randn(5, 2, 3) * 100).to(dtype).requires_grad_()
    term = ConR()
    nothing = term(leaf, torch.ones(5, 1), torch.zeros(5, 2, 1))
    nothing.backward()
    assert nothing.item() == 0
    some = term(leaf, torch.arange(5.0)[:, None] * 3, torch.zeros(5, 2, 1))
    some.backward()
    assert some.item() > 0
    assert torch.isfinite(leaf.grad).all()


def test_no_gradient_goes_to_the_predictions() -> None:
    guesses = torch.zeros(4, 2, 1, requires_grad=True)
    ConR()(torch.randn(4, 2, 3, requires_grad=True), torch.arange(4.0)[:, None] * 2, guesses).backward()
    assert guesses.grad is None


def test_the_regularizer_gives_each_view_its_samples_weight() -> None:
    torch.manual_seed(0)
    z, y, guesses = torch.randn(4, 2, 3), torch.arange(4.0)[:, None] * 2, torch.zeros(4, 2, 1)
    weights = torch.tensor(WEIGHTS[:4])
    term = ConR(reading="released")
    assert term.needs_weights
    assert not ConR().needs_weights
    expected = conr_loss(
        z.flatten(0, 1),
        y.repeat_interleave(2, 0),
        guesses.flatten(0, 1),
        reading="released",
        weights=weights.repeat_interleave(2),
    )
    assert term(z, y, guesses, weights).item() == pytest.approx(expected.item())
    assert term(z, y, guesses).item() != pytest.approx(expected.item())


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="similar"):
        ConR(similar=0)
    with pytest.raises(ValueError, match="reading"):
        ConR(reading="code")  # type: ignore[arg-type]
